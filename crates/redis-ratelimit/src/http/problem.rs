//! The answers of the layer itself: problem details (RFC 9457) of the types that the draft registers.

use super::fields::name;
use crate::decision::Decision;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    QuotaExceeded,
    ReducedCapacity,
    Internal,
}

impl Problem {
    /// Status, type and title; those that the draft gives are the draft's.
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::QuotaExceeded => (
                StatusCode::TOO_MANY_REQUESTS,
                "https://iana.org/assignments/http-problem-types#quota-exceeded",
                "Request cannot be satisfied as assigned quota has been exceeded",
            ),
            Self::ReducedCapacity => (
                StatusCode::SERVICE_UNAVAILABLE,
                "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity",
                "Request cannot be satisfied due to temporary server capacity constraints",
            ),
            Self::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "about:blank", "The rate limit cannot be checked")
            }
        }
    }

    /// The response; a denial's names the policies that were violated.
    pub(super) fn response(self, decision: Option<&Decision>) -> Response<Bytes> {
        let (status, kind, title) = self.parts();
        let violated = decision.map(|decision| {
            // Neither a title nor a name holds anything that JSON would need escaped.
            let names: Vec<_> =
                decision.violated().map(|state| format!("\"{}\"", name(&state.policy))).collect();
            format!(",\"violated-policies\":[{}]", names.join(","))
        });
        let (violated, status_code) = (violated.unwrap_or_default(), status.as_u16());
        let body = format!(r#"{{"type":"{kind}","title":"{title}","status":{status_code}{violated}}}"#);
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
