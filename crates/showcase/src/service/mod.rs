//! The service of orders: what a user sees, over HTTP.

mod orders;
mod problem;
mod session;

use crate::Fallible;
use crate::settings::{CLAIM_LEASE, CLAIM_RETENTION, LIMIT, PERIOD, QUEUE, QUEUE_MAX, SESSION_IDLE};
use crate::stock::Stock;
use axum::Router;
use axum::routing::{get, post};
use redis_idem::Idempotency;
use redis_patterns_core::Redis;
use redis_queue::{Queue, QueueOptions};
use redis_ratelimit::{FixedWindow, RateLimiter};
use redis_session::Sessions;
use session::User;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The header of an answer that was given before.
pub(crate) const REPLAYED: &str = "idempotent-replayed";
/// The header by which a client names its request.
pub(crate) const KEY: &str = "idempotency-key";

/// What every request needs; cheap to clone.
#[derive(Clone)]
struct App {
    sessions: Sessions<User>,
    limiter: RateLimiter,
    requests: Idempotency,
    queue: Queue,
    stock: Stock,
}

/// A service that runs.
pub(crate) struct Service {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl Service {
    /// Starts it on a free port of this machine alone.
    pub(crate) async fn start(redis: &Redis, stock: Stock) -> Fallible<Self> {
        let app = App::new(redis, stock)?;
        let routes = Router::new()
            .route("/login", post(session::log_in))
            .route("/logout", post(session::log_out))
            .route("/orders", post(orders::place))
            .route("/orders/{id}", get(orders::look))
            .with_state(app);
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let over = async {
            // A dropped handle stops it, too.
            let _ = stopped.await;
        };
        let serving = axum::serve(listener, routes).with_graceful_shutdown(over);
        let task = tokio::spawn(async move { serving.await });
        Ok(Self { address, stop, task })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers what is under way and ends.
    pub(crate) async fn stop(self) -> Fallible<()> {
        // Whoever does not listen has ended.
        let _ = self.stop.send(());
        Ok(self.task.await??)
    }
}

impl App {
    fn new(redis: &Redis, stock: Stock) -> Fallible<Self> {
        let sessions = redis_session::Options::new().idle(SESSION_IDLE);
        let requests = redis_idem::Options::new().lease(CLAIM_LEASE).retention(CLAIM_RETENTION);
        let queue = QueueOptions::default().max_len(QUEUE_MAX);
        Ok(Self {
            sessions: Sessions::with_options(redis.clone(), sessions)?,
            limiter: RateLimiter::new(redis.clone(), FixedWindow::new("orders", LIMIT, PERIOD)?),
            requests: Idempotency::with_options(redis.clone(), requests)?,
            queue: Queue::with_options(redis.clone(), QUEUE, queue),
            stock,
        })
    }
}
