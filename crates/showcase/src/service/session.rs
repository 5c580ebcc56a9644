//! Logging in and out, and who is logged in.

use super::App;
use super::problem::Problem;
use axum::body::Bytes;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use redis_session::{LogIn, Login, SessionId};
use serde::{Deserialize, Serialize};

/// What a session holds, and what a log-in says: this is a demo, the name is enough.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct User {
    #[serde(rename = "user")]
    name: String,
}

/// The user of this request: its session was found, and lives on for another while.
pub(super) struct LoggedIn {
    pub(super) name: String,
}

/// `POST /login`: a new session, whatever there was before, so that nobody can plant one.
pub(super) async fn log_in(State(app): State<App>, body: Bytes) -> Result<impl IntoResponse, Problem> {
    let user: User =
        serde_json::from_slice(&body).map_err(|_| Problem::Unreadable("send {\"user\": \"name\"}"))?;
    if user.name.is_empty() || user.name.len() > 64 {
        return Err(Problem::Unreadable("a name has 1 to 64 bytes"));
    }
    // No limit was set, so it is never full.
    let LogIn::Begun(id) = app.sessions.log_in(Login::of(&user.name), &user).await? else {
        return Err(Problem::LoggedOut);
    };
    // A real service says Secure as well; this one speaks plain HTTP on loopback.
    let cookie = format!("id={}; HttpOnly; SameSite=Lax; Path=/", id.expose());
    Ok((StatusCode::OK, [(header::SET_COOKIE, cookie)], axum::Json(user)))
}

/// `POST /logout`: the session is gone everywhere, at once. Twice is no mistake.
pub(super) async fn log_out(
    State(app): State<App>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    if let Some(id) = session_id(&headers) {
        // Revoked or gone already: both are what was asked for.
        let _ = app.sessions.revoke(&id).await?;
    }
    let forget = "id=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0";
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, forget)]))
}

impl FromRequestParts<App> for LoggedIn {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let id = session_id(&parts.headers).ok_or(Problem::LoggedOut)?;
        let session = app.sessions.load(&id).await?.ok_or(Problem::LoggedOut)?;
        Ok(Self { name: session.value.name })
    }
}

/// The session id in the cookies. What is no id is not asked for.
fn session_id(headers: &HeaderMap) -> Option<SessionId> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    cookies.flat_map(|line| line.split(';')).find_map(|cookie| {
        let (name, value) = cookie.trim().split_once('=')?;
        if name == "id" { SessionId::parse(value) } else { None }
    })
}
