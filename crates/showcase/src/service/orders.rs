//! Placing an order, and looking where it is.

use super::problem::Problem;
use super::session::LoggedIn;
use super::{App, KEY, REPLAYED};
use crate::settings::{ITEMS, PAYMENT};
use crate::stock::Order;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use redis_idem::{Begin, Claim, Completion, Fingerprint, Scope};
use redis_queue::Pushed;
use serde::Deserialize;
use std::time::Duration;

/// The operation as idempotency keys know it.
const PLACE: &str = "POST /orders";
/// When to come back to a full queue.
const FULL: Duration = Duration::from_secs(2);

/// What a user asks for.
#[derive(Deserialize)]
struct Wish {
    item: String,
    quantity: u32,
}

/// `POST /orders`: logged in, not too often, and once for each `Idempotency-Key`.
pub(super) async fn place(
    user: LoggedIn,
    State(app): State<App>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    if let Some(wait) = app.limiter.check(&user.name).await?.retry_after() {
        return Err(Problem::TooMany(wait));
    }
    let key = headers.get(KEY).ok_or(Problem::Unreadable("an order needs an Idempotency-Key"))?;
    let wish = read(&body)?;
    let fingerprint = Fingerprint::of_fields(&[PLACE.as_bytes(), &body]);
    match app.requests.begin(&Scope::principal(&user.name), PLACE, key.as_bytes(), fingerprint).await? {
        Begin::Started(claim) => Ok(created(app.place(claim, user, wish).await?)),
        Begin::Replay(stored) => {
            let mut response = created(stored);
            response.headers_mut().insert(REPLAYED, axum::http::HeaderValue::from_static("true"));
            Ok(response)
        }
        Begin::InProgress { retry_after } => Err(Problem::UnderWay(retry_after)),
        Begin::Mismatch => Err(Problem::OtherRequest),
        _ => Err(Problem::Broken("an answer of redis-idem that is not known here".into())),
    }
}

/// `GET /orders/{id}`: pending or shipped.
pub(super) async fn look(
    user: LoggedIn,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let status = app.stock.status(&id, &user.name).await?.ok_or(Problem::NoSuchOrder)?;
    Ok(axum::Json(serde_json::json!({ "order": id, "status": status })).into_response())
}

fn read(body: &[u8]) -> Result<Wish, Problem> {
    let wish: Wish = serde_json::from_slice(body)
        .map_err(|_| Problem::Unreadable("send {\"item\": \"tea\", \"quantity\": 1}"))?;
    if !ITEMS.contains(&wish.item.as_str()) {
        return Err(Problem::Unreadable("there is tea, sofa, lamp and chair"));
    }
    if !(1..=10).contains(&wish.quantity) {
        return Err(Problem::Unreadable("a quantity is 1 to 10"));
    }
    Ok(wish)
}

impl App {
    /// The work behind the key, and the body of its answer.
    ///
    /// An error leaves the claim as it is, since the order may wait already: a retry is told to
    /// come back until the claim's lease is over, and is then a second attempt. It makes the same
    /// order id, so that even an order that was pushed twice is shipped once.
    async fn place(&self, claim: Claim, user: LoggedIn, wish: Wish) -> Result<Bytes, Problem> {
        let id = claim.request().chars().take(16).collect();
        let order = Order { id, user: user.name, item: wish.item, quantity: wish.quantity };
        tokio::time::sleep(PAYMENT).await;
        if let Pushed::Full { .. } = self.queue.push_json(&order).await? {
            // Nothing was promised: the next try may start anew.
            let _ = claim.release().await?;
            return Err(Problem::Later(FULL));
        }
        self.stock.accept(&order).await?;
        let answer = Bytes::from(serde_json::json!({ "order": order.id }).to_string());
        if claim.complete(answer.clone()).await? == Completion::Lost {
            eprintln!("service: order {} took longer than its claim's lease", order.id);
        }
        Ok(answer)
    }
}

fn created(body: Bytes) -> Response {
    (StatusCode::CREATED, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
