//! `GET /metrics`.

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use redis_monitor::Doctor;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

/// Answers until the process is asked to end. One examination at a time: scrapes that come together
/// wait for each other.
pub(crate) async fn serve(doctor: Doctor, listen: SocketAddr) -> std::io::Result<()> {
    let listener = TcpListener::bind(listen).await?;
    eprintln!("redis-doctor: http://{}/metrics", listener.local_addr()?);
    let app = Router::new().route("/metrics", get(metrics)).with_state(Arc::new(Mutex::new(doctor)));
    let end = async {
        // Without a signal handler the process ends by the signal's default all the same.
        let _ = tokio::signal::ctrl_c().await;
    };
    axum::serve(listener, app).with_graceful_shutdown(end).await
}

async fn metrics(State(doctor): State<Arc<Mutex<Doctor>>>) -> Response {
    let report = doctor.lock().await.examine().await;
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], report.to_prometheus()).into_response()
}
