//! `redis-doctor serve`: one page that keeps itself up to date.

mod actions;
mod chart;
mod guard;
mod page;

use crate::history::{Chart, History};
use actions::{Action, Said};
use axum::extract::{DefaultBodyLimit, Form, RawQuery, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
pub(crate) use guard::{Access, Secret};
use redis_monitor::{Doctor, Report};
use redis_patterns_core::{Error, Redis, RedisBuilder};
use redis_queue::Queue;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::OnceCell;

/// Dead letters of one queue on the page.
const LETTERS: u16 = 20;
/// A form is a token and the value of a button.
const LONGEST_FORM: usize = 16 << 10;

/// What the operator asked for.
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) every: Duration,
    /// Names by which the page may be called, besides addresses and localhost.
    pub(crate) names: Vec<String>,
    pub(crate) access: Access,
}

/// Id, reason and failures of dead letters.
type Letters = Vec<(String, String, u32)>;

struct App {
    doctor: tokio::sync::Mutex<Doctor>,
    seen: Mutex<Seen>,
    /// For dead letters and actions; connected when there is use for it.
    redis: OnceCell<Redis>,
    builder: RedisBuilder,
    every: Duration,
    access: Access,
}

#[derive(Default)]
struct Seen {
    history: History,
    letters: BTreeMap<String, Letters>,
}

/// Everything that a page shows.
struct View<'a> {
    report: &'a Report,
    charts: &'a [Chart],
    letters: &'a BTreeMap<String, Letters>,
    every: Duration,
    can_act: bool,
    said: Option<Said>,
}

/// Answers until the process is asked to end.
pub(crate) async fn serve(doctor: Doctor, builder: RedisBuilder, settings: Settings) -> std::io::Result<()> {
    let Settings { listen, every, names, access } = settings;
    let listener = TcpListener::bind(listen).await?;
    let app = Arc::new(App {
        doctor: tokio::sync::Mutex::new(doctor),
        seen: Mutex::default(),
        redis: OnceCell::new(),
        builder,
        every,
        access,
    });
    app.examine().await;
    let looking = tokio::spawn({
        let app = app.clone();
        async move {
            loop {
                tokio::time::sleep(every).await;
                app.examine().await;
            }
        }
    });
    eprintln!("redis-doctor: http://{}/", listener.local_addr()?);
    let routes = Router::new()
        .route("/", get(show))
        .route("/page.css", get(|| file("text/css", include_str!("page.css"))))
        .route("/page.js", get(|| file("text/javascript", include_str!("page.js"))))
        .route("/act", post(act))
        .layer(DefaultBodyLimit::max(LONGEST_FORM))
        .layer(middleware::from_fn_with_state(Arc::new(names), guard::own_name))
        .with_state(app);
    let end = async {
        // Without a signal handler the process ends by the signal's default all the same.
        let _ = tokio::signal::ctrl_c().await;
    };
    let served = axum::serve(listener, routes).with_graceful_shutdown(end).await;
    looking.abort();
    served
}

async fn file(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, format!("{kind}; charset=utf-8"))], text).into_response()
}

async fn show(State(app): State<Arc<App>>, RawQuery(query): RawQuery) -> Response {
    let said = query.as_deref().and_then(|query| query.strip_prefix("said=")).and_then(Said::of_word);
    app.page(StatusCode::OK, said)
}

#[derive(serde::Deserialize)]
struct Asked {
    #[serde(default)]
    token: String,
    #[serde(rename = "do", default)]
    what: String,
}

async fn act(State(app): State<Arc<App>>, headers: HeaderMap, Form(asked): Form<Asked>) -> Response {
    let Access::Actions(secret) = &app.access else {
        return app.page(StatusCode::FORBIDDEN, Some(Said::ReadOnly));
    };
    if !guard::is_from_here(&headers) {
        return app.page(StatusCode::FORBIDDEN, Some(Said::Foreign));
    }
    if !secret.is(&asked.token) {
        return app.page(StatusCode::FORBIDDEN, Some(Said::Refused));
    }
    let Some(action) = Action::parse(&asked.what) else {
        return app.page(StatusCode::BAD_REQUEST, Some(Said::Unclear));
    };
    let said = match app.redis().await {
        Ok(redis) => action.run(redis).await,
        Err(_) => Said::Failed,
    };
    eprintln!("redis-doctor: {action:?}: {}", said.word());
    app.examine().await;
    (StatusCode::SEE_OTHER, [(LOCATION, said.place())]).into_response()
}

impl App {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn redis(&self) -> Result<&Redis, Error> {
        self.redis.get_or_try_init(|| self.builder.clone().connect()).await
    }

    /// One examination at a time: who asks for one meanwhile gets the next.
    async fn examine(&self) {
        let mut doctor = self.doctor.lock().await;
        let report = doctor.examine().await;
        let letters = self.letters(&report).await;
        let mut seen = self.seen();
        seen.history.push(report);
        seen.letters = letters;
    }

    /// The oldest dead letters of each queue that has some; what cannot be read is left out.
    async fn letters(&self, report: &Report) -> BTreeMap<String, Letters> {
        let mut letters = BTreeMap::new();
        for queue in report.queues.iter().filter(|queue| queue.dead > 0) {
            let Ok(redis) = self.redis().await else { break };
            let found = Queue::new(redis.clone(), &queue.name).dead_letters(None, LETTERS).await;
            let read = found.into_iter().flatten().map(|letter| {
                let failures = letter.job.as_ref().map_or(0, redis_queue::Job::failures);
                (letter.id, letter.why, failures)
            });
            letters.insert(queue.name.clone(), read.collect());
        }
        letters
    }

    fn page(&self, status: StatusCode, said: Option<Said>) -> Response {
        let seen = self.seen();
        let Some(report) = seen.history.newest() else {
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        };
        let view = View {
            report,
            charts: &seen.history.charts(),
            letters: &seen.letters,
            every: self.every,
            can_act: matches!(self.access, Access::Actions(_)),
            said,
        };
        (status, Html(page::page(&view).into_string())).into_response()
    }
}
