//! Log-in with a password, a magic link or a reset code; a list of devices, and ends to each.
//!
//! ```text
//! cargo run -p redis-session --example axum_login --features axum -- redis://127.0.0.1:6379
//! ```
//!
//! prints the lines to try. Mails are printed too. What is missing for the real thing: passwords
//! that are hashed, forms with pages, and TLS.

use axum::extract::{Form, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, serve};
use redis_session::http::{Session, SessionLayer};
use redis_session::{
    CodeOptions, Codes, Error, LogIn, Login, OneTimeToken, OneTimeTokens, Pepper, Purpose, Redis, SessionRef,
    Sessions, Verdict,
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const LINK: Purpose = Purpose::new("magic-link");
const RESET: Purpose = Purpose::new("password-reset");

/// What a session holds. Without a name its visitor is not logged in.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Visitor {
    mail: String,
    visits: u64,
}

#[derive(Clone)]
struct App {
    sessions: Sessions<Visitor>,
    links: OneTimeTokens<String>,
    codes: Codes<String>,
    passwords: Arc<Mutex<HashMap<String, String>>>,
    address: String,
}

impl App {
    fn knows(&self, mail: &str) -> bool {
        self.passwords.lock().is_ok_and(|passwords| passwords.contains_key(mail))
    }

    fn is_password(&self, mail: &str, password: &str) -> bool {
        self.passwords.lock().is_ok_and(|passwords| passwords.get(mail).is_some_and(|is| is == password))
    }
}

#[derive(Deserialize)]
struct Asked {
    mail: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    code: String,
}

/// A failure of Redis: nobody is told that they are logged out.
struct Unavailable(Error);

impl From<Error> for Unavailable {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Unavailable {
    fn into_response(self) -> Response {
        eprintln!("{}", self.0);
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    }
}

type Answer = Result<(StatusCode, String), Unavailable>;

fn say(status: StatusCode, text: impl Into<String>) -> Answer {
    Ok((status, text.into() + "\n"))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "redis://127.0.0.1:6379".to_owned());
    let redis = Redis::connect(&url).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}", listener.local_addr()?);
    let sessions = Sessions::<Visitor>::new(redis.clone());
    let app = App {
        sessions: sessions.clone(),
        links: OneTimeTokens::new(redis.clone(), LINK, Duration::from_secs(15 * 60))?,
        // A real pepper is random and comes from where the application keeps its secrets.
        codes: Codes::new(redis, RESET, Pepper::new(&[7; 32]), CodeOptions::new())?,
        passwords: Arc::new(Mutex::new([("ann@example.com".to_owned(), "correct horse".to_owned())].into())),
        address: address.clone(),
    };
    let router = Router::new()
        .route("/", get(home))
        .route("/login", post(log_in))
        .route("/logout", post(log_out))
        .route("/devices", get(devices))
        .route("/devices/{session}/end", post(end_device))
        .route("/devices/others/end", post(end_others))
        .route("/link", post(send_link))
        .route("/link/{token}", get(show_link).post(use_link))
        .route("/reset", post(send_code))
        .route("/reset/password", post(set_password))
        .layer(SessionLayer::new(sessions))
        .with_state(app);
    println!("{}", LINES.replace("HERE", &address));
    serve(listener, router).await?;
    Ok(())
}

const LINES: &str = "\
C='curl -s -b jar -c jar'   # a browser; 'curl -s -b jar2 -c jar2' is another
$C HERE/; $C HERE/login -d mail=ann@example.com -d 'password=correct horse'; $C HERE/
$C HERE/devices; $C -X POST HERE/devices/others/end; $C -X POST HERE/logout
$C HERE/link -d mail=ann@example.com    # then GET and POST (-X POST) the link of the mail
$C HERE/reset -d mail=ann@example.com   # then the code of the mail:
$C HERE/reset/password -d mail=ann@example.com -d code=123456 -d 'password=battery staple'";

async fn home(visitor: Session<Visitor>) -> Answer {
    visitor.change(|visitor| visitor.visits += 1).await?;
    let Visitor { mail, visits } = visitor.get().await?.unwrap_or_default();
    say(StatusCode::OK, format!("{visits} visits of {}", if mail.is_empty() { "somebody" } else { &mail }))
}

async fn log_in(
    State(app): State<App>,
    visitor: Session<Visitor>,
    headers: HeaderMap,
    asked: Form<Asked>,
) -> Answer {
    if !app.is_password(&asked.mail, &asked.password) {
        return say(StatusCode::UNAUTHORIZED, "no such mail and password");
    }
    enter(&visitor, &headers, asked.0.mail).await
}

/// Another id, in the user's list of devices; what the visitor had comes along.
async fn enter(visitor: &Session<Visitor>, headers: &HeaderMap, mail: String) -> Answer {
    let device = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or("unknown");
    let visits = visitor.get().await?.unwrap_or_default().visits;
    let known = Visitor { mail: mail.clone(), visits };
    match visitor.log_in(Login::of(&mail).device(device), known).await? {
        LogIn::Begun(_) => say(StatusCode::OK, format!("welcome, {mail}")),
        LogIn::Full => say(StatusCode::CONFLICT, "you are logged in on too many devices"),
    }
}

async fn log_out(visitor: Session<Visitor>) -> Answer {
    visitor.log_out().await;
    say(StatusCode::OK, "good-bye")
}

/// The mail of the visitor, if they are logged in.
async fn user(visitor: &Session<Visitor>) -> Result<Option<String>, Error> {
    Ok(visitor.get().await?.map(|visitor| visitor.mail).filter(|mail| !mail.is_empty()))
}

async fn devices(State(app): State<App>, visitor: Session<Visitor>) -> Answer {
    let Some(mail) = user(&visitor).await? else { return say(StatusCode::UNAUTHORIZED, "log in first") };
    let here = visitor.id().await?.map(|id| id.reference());
    let lines = app.sessions.list(&mail).await?.into_iter().map(|device| {
        let mark = if Some(device.session) == here { " (this one)" } else { "" };
        format!("{}{mark}: POST {}/devices/{}/end", device.device, app.address, device.session)
    });
    say(StatusCode::OK, lines.collect::<Vec<_>>().join("\n"))
}

async fn end_device(State(app): State<App>, visitor: Session<Visitor>, which: Path<String>) -> Answer {
    let Some(mail) = user(&visitor).await? else { return say(StatusCode::UNAUTHORIZED, "log in first") };
    let Some(which) = SessionRef::parse(&which) else { return say(StatusCode::NOT_FOUND, "no such device") };
    // Only among the user's own.
    say(StatusCode::OK, format!("{:?}", app.sessions.revoke_listed(&mail, which).await?))
}

async fn end_others(State(app): State<App>, visitor: Session<Visitor>) -> Answer {
    match (user(&visitor).await?, visitor.id().await?) {
        (Some(_), Some(id)) => say(StatusCode::OK, format!("{:?}", app.sessions.revoke_others(&id).await?)),
        _ => say(StatusCode::UNAUTHORIZED, "log in first"),
    }
}

/// The same answer whether there is such an account or not, and as fast.
async fn send_link(State(app): State<App>, asked: Form<Asked>) -> Answer {
    let issued = app.links.issue(&asked.mail, &asked.mail).await?.issued();
    if let (Some(token), true) = (issued, app.knows(&asked.mail)) {
        println!("mail to {}: {}/link/{}", asked.mail, app.address, token.expose());
    }
    say(StatusCode::ACCEPTED, "if there is such an account, a mail is on its way")
}

/// What a link shows, to its user and to scanners: it logs nobody in.
async fn show_link(State(app): State<App>, token: Path<String>) -> Answer {
    let Some(token) = OneTimeToken::parse(&token) else { return say(StatusCode::GONE, "ask for a new link") };
    match app.links.peek(&token).await? {
        Some(mail) => say(StatusCode::OK, format!("press the button (POST) to log in as {mail}")),
        None => say(StatusCode::GONE, "ask for a new link"),
    }
}

async fn use_link(
    State(app): State<App>,
    visitor: Session<Visitor>,
    headers: HeaderMap,
    token: Path<String>,
) -> Answer {
    let Some(token) = OneTimeToken::parse(&token) else { return say(StatusCode::GONE, "ask for a new link") };
    match app.links.consume(&token).await? {
        Some(mail) if app.knows(&mail) => enter(&visitor, &headers, mail).await,
        _ => say(StatusCode::GONE, "ask for a new link"),
    }
}

async fn send_code(State(app): State<App>, asked: Form<Asked>) -> Answer {
    if app.knows(&asked.mail) {
        if let Some(code) = app.codes.issue(&asked.mail, &asked.mail).await?.issued() {
            println!("mail to {}: your code is {}", asked.mail, code.expose());
        }
    } else {
        let _ = app.codes.decoy(&asked.mail).await?;
    }
    say(StatusCode::ACCEPTED, "if there is such an account, a mail is on its way")
}

async fn set_password(State(app): State<App>, asked: Form<Asked>) -> Answer {
    let Asked { mail, password, code } = asked.0;
    match app.codes.verify(&mail, &code).await? {
        Verdict::Right(mail) => {
            app.passwords.lock().map(|mut passwords| passwords.insert(mail.clone(), password)).ok();
            // Only now: whoever knows the old password is out, and stays so.
            app.sessions.revoke_all(&mail).await?;
            say(StatusCode::OK, "your password is set: log in")
        }
        Verdict::Wrong { left } => say(StatusCode::FORBIDDEN, format!("wrong: {left} guesses left")),
        Verdict::NoCode => say(StatusCode::FORBIDDEN, "ask for a new code"),
        Verdict::Locked { retry_after } => {
            say(StatusCode::TOO_MANY_REQUESTS, format!("wait {} s", retry_after.as_secs()))
        }
    }
}
