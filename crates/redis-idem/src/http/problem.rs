//! The answers of the layer itself: problem details (RFC 9457).

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, LINK, RETRY_AFTER};
use http::{Response, StatusCode};
use std::time::Duration;

/// What went wrong. Titles that the draft gives are the draft's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    Missing,
    Malformed,
    TooLarge,
    Outstanding(Duration),
    InDoubt,
    NotKept,
    Reused,
    Unavailable,
    Internal,
}

/// How long to wait when Redis is away: about what a failover takes.
const OUTAGE: Duration = Duration::from_secs(2);

impl Problem {
    /// Status, fragment of the type URI, title.
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::Missing => (StatusCode::BAD_REQUEST, "missing", "Idempotency-Key is missing"),
            Self::Malformed => (StatusCode::BAD_REQUEST, "malformed", "Idempotency-Key is malformed"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request is too large"),
            Self::Outstanding(_) => {
                (StatusCode::CONFLICT, "outstanding", "A request is outstanding for this Idempotency-Key")
            }
            Self::InDoubt => (
                StatusCode::CONFLICT,
                "in-doubt",
                "It is not known what an earlier request with this Idempotency-Key did",
            ),
            Self::NotKept => (
                StatusCode::CONFLICT,
                "not-kept",
                "The request was done; its response was too large to be kept",
            ),
            Self::Reused => (StatusCode::UNPROCESSABLE_ENTITY, "reused", "Idempotency-Key is already used"),
            Self::Unavailable => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Idempotency-Key cannot be checked now")
            }
            Self::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Idempotency-Key cannot be checked")
            }
        }
    }

    fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Outstanding(wait) => Some(wait),
            Self::Unavailable => Some(OUTAGE),
            _ => None,
        }
    }

    /// The response. `base` is the address of the page that describes the problems, if there is one.
    pub(super) fn response(self, base: Option<&str>) -> Response<Bytes> {
        let (status, fragment, title) = self.parts();
        let kind = base.map_or_else(|| "about:blank".to_owned(), |base| format!("{base}#{fragment}"));
        // Neither the title nor an accepted base holds anything that JSON would need escaped.
        let body = format!(r#"{{"type":"{kind}","title":"{title}","status":{}}}"#, status.as_u16());
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(wait) = self.retry_after() {
            // Whole seconds, rounded up, at least one.
            let seconds = wait.as_millis().div_ceil(1_000).clamp(1, u128::from(u64::MAX)) as u64;
            headers.insert(RETRY_AFTER, seconds.into());
        }
        let link = base.map(|base| format!(r#"<{base}>; rel="describedby"; type="text/html""#));
        if let Some(Ok(link)) = link.map(HeaderValue::try_from) {
            headers.insert(LINK, link);
        }
        response
    }
}

/// Whether an address can stand in JSON and in a `Link` as it is.
pub(super) fn is_plain_uri(base: &str) -> bool {
    !base.is_empty() && base.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\<>#".contains(&byte))
}
