//! Every answer that is not what the user asked for, and its status.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::time::Duration;

/// Why a request was not done.
#[derive(Debug)]
pub(super) enum Problem {
    /// The request cannot be read: 400.
    Unreadable(&'static str),
    /// Nobody is logged in: 401.
    LoggedOut,
    /// The user has no such order: 404.
    NoSuchOrder,
    /// The same request is under way: 409.
    UnderWay(Duration),
    /// The key was used for another request: 422.
    OtherRequest,
    /// The user has sent too many: 429.
    TooMany(Duration),
    /// A bug, or a broken database: 500. Its text is for the log alone.
    Broken(String),
    /// Redis does not answer, or the queue is full: 503.
    Later(Duration),
}

/// When to come back after an outage.
const OUTAGE: Duration = Duration::from_secs(1);

impl Problem {
    fn told(&self) -> (StatusCode, &'static str, Option<Duration>) {
        match self {
            Self::Unreadable(why) => (StatusCode::BAD_REQUEST, why, None),
            Self::LoggedOut => (StatusCode::UNAUTHORIZED, "log in first", None),
            Self::NoSuchOrder => (StatusCode::NOT_FOUND, "no such order", None),
            Self::UnderWay(wait) => (StatusCode::CONFLICT, "the same request is under way", Some(*wait)),
            Self::OtherRequest => {
                (StatusCode::UNPROCESSABLE_ENTITY, "this key was used for another request", None)
            }
            Self::TooMany(wait) => (StatusCode::TOO_MANY_REQUESTS, "too many orders", Some(*wait)),
            Self::Broken(_) => (StatusCode::INTERNAL_SERVER_ERROR, "something is broken", None),
            Self::Later(wait) => (StatusCode::SERVICE_UNAVAILABLE, "try again later", Some(*wait)),
        }
    }

    fn of_redis(outage: bool, error: &dyn std::error::Error) -> Self {
        if outage { Self::Later(OUTAGE) } else { Self::Broken(error.to_string()) }
    }
}

/// Whole seconds, rounded up: a client that comes back in time must not come too early.
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    seconds.max(1)
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if let Self::Broken(why) = &self {
            eprintln!("service: {why}");
        }
        let (status, text, wait) = self.told();
        let mut response = (status, axum::Json(serde_json::json!({ "error": text }))).into_response();
        if let Some(wait) = wait {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(whole_seconds(wait)));
        }
        response
    }
}

impl From<redis_session::Error> for Problem {
    fn from(error: redis_session::Error) -> Self {
        Self::of_redis(error.is_outage(), &error)
    }
}

impl From<redis_ratelimit::Error> for Problem {
    /// The limit fails closed: while Redis is away nobody orders.
    fn from(error: redis_ratelimit::Error) -> Self {
        Self::of_redis(error.is_outage(), &error)
    }
}

impl From<redis_idem::Error> for Problem {
    fn from(error: redis_idem::Error) -> Self {
        match error {
            redis_idem::Error::Key(_) => Self::Unreadable("the Idempotency-Key has 1 to 255 bytes"),
            error => Self::of_redis(error.is_outage(), &error),
        }
    }
}

impl From<redis_queue::Error> for Problem {
    fn from(error: redis_queue::Error) -> Self {
        Self::of_redis(error.is_outage(), &error)
    }
}

impl From<Box<dyn std::error::Error + Send + Sync>> for Problem {
    fn from(error: Box<dyn std::error::Error + Send + Sync>) -> Self {
        Self::Broken(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_millis(999)), 1);
        assert_eq!(whole_seconds(Duration::from_secs(2)), 2);
        assert_eq!(whole_seconds(Duration::from_millis(2_001)), 3);
    }

    #[test]
    fn a_denial_says_when_to_come_back() {
        let response = Problem::TooMany(Duration::from_millis(1_500)).into_response();
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(response.headers()[header::RETRY_AFTER], "2");
    }
}
