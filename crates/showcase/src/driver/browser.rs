//! What a user needs: HTTP, and a cookie.

use crate::Fallible;
use crate::report::Answers;
use crate::service::{KEY, REPLAYED};
use crate::settings::PATIENCE;
use axum::body::Bytes;
use axum::http::{HeaderMap, Request, header};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::net::SocketAddr;
use std::sync::Arc;

/// Speaks HTTP to the service and counts what it answers to orders; cheap to clone.
#[derive(Clone)]
pub(super) struct Browser {
    client: Client<HttpConnector, Full<Bytes>>,
    base: String,
    pub(super) answers: Arc<Answers>,
}

/// A user who is logged in.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) cookie: String,
}

/// An answer of the service.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Answer {
    /// Whether it was given before.
    pub(super) fn is_replayed(&self) -> bool {
        self.headers.get(REPLAYED).is_some_and(|value| value == "true")
    }

    /// The seconds after which to come back.
    pub(super) fn retry_after(&self) -> Option<u64> {
        self.headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()
    }

    /// The order that was accepted.
    pub(super) fn order(&self) -> Fallible<String> {
        self.text("order")
    }

    /// A text in the JSON of the body.
    pub(super) fn text(&self, field: &str) -> Fallible<String> {
        let body: serde_json::Value = serde_json::from_slice(&self.body)?;
        let text = body[field].as_str();
        Ok(text.ok_or_else(|| format!("the answer {} names no {field}", self.status))?.to_owned())
    }
}

impl Browser {
    pub(super) fn new(service: SocketAddr) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, base: format!("http://{service}"), answers: Arc::default() }
    }

    /// `POST /login`.
    pub(super) async fn log_in(&self, name: &str) -> Fallible<Login> {
        let answer =
            self.send("POST", "/login", &[], serde_json::json!({ "user": name }).to_string()).await?;
        let cookie = answer.headers.get(header::SET_COOKIE).ok_or("a log-in set no cookie")?.to_str()?;
        let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
        Ok(Login { cookie })
    }

    /// `POST /orders` for one piece; counted.
    pub(super) async fn order(&self, login: &Login, key: &str, item: &str) -> Fallible<Answer> {
        self.send_order(login, &[(KEY, key)], item).await
    }

    /// `POST /orders` with these headers; counted.
    pub(super) async fn send_order(
        &self,
        login: &Login,
        headers: &[(&str, &str)],
        item: &str,
    ) -> Fallible<Answer> {
        let body = serde_json::json!({ "item": item, "quantity": 1 }).to_string();
        let mut all = vec![("cookie", login.cookie.as_str())];
        all.extend_from_slice(headers);
        let answer = self.send("POST", "/orders", &all, body).await?;
        let counter = match answer.status {
            201 if answer.is_replayed() => &self.answers.replayed,
            201 => &self.answers.executed,
            400 => &self.answers.malformed,
            401 => &self.answers.logged_out,
            409 => &self.answers.conflicts,
            422 => &self.answers.mismatches,
            429 => &self.answers.denied,
            _ => &self.answers.other,
        };
        counter.add();
        Ok(answer)
    }

    /// `GET /orders/{id}`.
    pub(super) async fn look(&self, login: &Login, order: &str) -> Fallible<Answer> {
        self.send("GET", &format!("/orders/{order}"), &[("cookie", &login.cookie)], String::new()).await
    }

    /// Whether an order is shipped.
    pub(super) async fn is_shipped(&self, login: &Login, order: &str) -> Fallible<bool> {
        Ok(self.look(login, order).await?.text("status")? == "shipped")
    }

    /// One request.
    pub(super) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Fallible<Answer> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body))?;
        let exchange = async {
            let response = self.client.request(request).await?;
            let (head, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Answer { status: head.status.as_u16(), headers: head.headers, body })
        };
        let late = |_| format!("{method} {path}: no answer within {PATIENCE:?}");
        tokio::time::timeout(PATIENCE, exchange).await.map_err(late)?
    }
}
