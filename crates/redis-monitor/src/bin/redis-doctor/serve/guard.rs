//! Who may ask, and who may act.

use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use redis_monitor::Error;
use redis_patterns_core::Token;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Fewer characters can be guessed.
const SHORTEST: usize = 16;

/// Whether the page can do more than look.
#[derive(Debug)]
pub(crate) enum Access {
    ReadOnly,
    Actions(Secret),
}

/// What an action has to bring along.
pub(crate) struct Secret(String);

impl Secret {
    /// Takes a token that the operator chose.
    pub(crate) fn chosen(token: String) -> Result<Self, String> {
        if token.len() < SHORTEST {
            return Err(format!("the token in REDIS_DOCTOR_TOKEN has less than {SHORTEST} characters"));
        }
        Ok(Self(token))
    }

    /// Makes one up and shows it once.
    pub(crate) fn made_up() -> Result<Self, Error> {
        let token = Token::random()?;
        eprintln!("redis-doctor: the token for actions is {}", token.as_str());
        Ok(Self(token.as_str().to_owned()))
    }

    /// Takes as long for a nearly right token as for a wrong one.
    pub(crate) fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Everything that the page loads is its own, nobody may frame it, and nothing is kept.
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
    ),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// Answers only those who call the page by a name that is its own: a stranger's page whose name was
/// pointed at this address (DNS rebinding) gets nothing.
pub(crate) async fn own_name(
    State(names): State<Arc<Vec<String>>>,
    request: Request,
    next: Next,
) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let mut response = if host.is_some_and(|host| is_own(host, &names)) {
        next.run(request).await
    } else {
        let why = "this page answers to addresses, to localhost and to the names given by --host\n";
        (StatusCode::MISDIRECTED_REQUEST, why).into_response()
    };
    response.headers_mut().extend(HEADERS);
    response
}

fn is_own(host: &str, names: &[String]) -> bool {
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.split(']').next());
    let name = bracketed.unwrap_or_else(|| host.split(':').next().unwrap_or(host));
    // No name was resolved to get to an address.
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Whether a form came from this page itself. Browsers say where from with every POST.
pub(crate) fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let (Some(host), Some(origin)) = (text(HOST), text(ORIGIN)) else { return false };
    let place = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
    place.is_some_and(|place| place.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_own_names_are_answered_and_no_other() {
        let names = ["doctor.internal".to_owned()];
        for own in ["127.0.0.1:9188", "[::1]:9188", "10.0.0.7", "LOCALHOST:1", "doctor.internal:9188"] {
            assert!(is_own(own, &names), "{own}");
        }
        for other in ["evil.example:9188", "127.0.0.1.evil.example", "localhost.evil.example", ""] {
            assert!(!is_own(other, &names), "{other}");
        }
    }

    #[test]
    fn a_form_of_another_page_is_told() {
        let from = |host: &'static str, origin: Option<&'static str>| {
            let mut headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static(host))]);
            headers.extend(origin.map(|origin| (ORIGIN, HeaderValue::from_static(origin))));
            is_from_here(&headers)
        };
        assert!(from("127.0.0.1:1", Some("http://127.0.0.1:1")));
        assert!(from("doctor.internal", Some("https://doctor.internal")));
        assert!(!from("127.0.0.1:1", Some("http://127.0.0.1:2")));
        assert!(!from("127.0.0.1:1", Some("null")));
        assert!(!from("127.0.0.1:1", None));
    }

    #[test]
    fn a_token_is_long_and_never_shown() {
        assert!(Secret::chosen("short".into()).is_err());
        let secret = Secret::chosen("0123456789abcdef".into()).unwrap();
        assert!(secret.is("0123456789abcdef"));
        assert!(!secret.is("0123456789abcdeg") && !secret.is("0123456789abcde") && !secret.is(""));
        assert_eq!(format!("{secret:?}"), "Secret(..)");
    }
}
