//! A response as it is kept.
//!
//! Byte 0 is the version 1, byte 1 whether the body was kept (1) or not (0), bytes 2 and 3 the
//! status, bytes 4 and 5 the number of headers; each header is the length of its name in two bytes,
//! the name, the length of its value in four, the value (all big endian); then the body.

use crate::error::Error;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use redis_patterns_core::Error as RedisError;

const VERSION: u8 = 1;
const REPLAYED: &str = "idempotent-replayed";

/// Headers that are kept unless more are added: they describe the body or point to the result.
pub(super) const KEPT: [HeaderName; 8] = [
    http::header::CONTENT_TYPE,
    http::header::CONTENT_LANGUAGE,
    http::header::CONTENT_ENCODING,
    http::header::CONTENT_DISPOSITION,
    http::header::CONTENT_LOCATION,
    http::header::LOCATION,
    http::header::ETAG,
    http::header::LAST_MODIFIED,
];

/// Headers that are never kept: cookies, credentials, and what belongs to one connection, request or moment.
const NEVER: [&str; 22] = [
    "set-cookie",
    "authorization",
    "proxy-authorization",
    "www-authenticate",
    "proxy-authenticate",
    "authentication-info",
    "proxy-authentication-info",
    "connection",
    "proxy-connection",
    "keep-alive",
    "transfer-encoding",
    "content-length",
    "upgrade",
    "te",
    "trailer",
    "date",
    "age",
    "traceparent",
    "tracestate",
    "traceresponse",
    "x-request-id",
    REPLAYED,
];
/// The same for those whose names begin so.
const NEVER_OF: [&str; 2] = ["ratelimit", "x-ratelimit"];

/// Whether a header says the same to whoever gets it, whenever.
pub(super) fn may_be_kept(name: &HeaderName) -> bool {
    let name = name.as_str();
    !NEVER.contains(&name) && !NEVER_OF.iter().any(|front| name.starts_with(front))
}

/// The outcome that [`IdempotencyLayer`](super::IdempotencyLayer) replays as this response, for
/// those who store outcomes beside it: a handler that [records](crate::DurableStore) its own in the
/// transaction of its work, and a [`Judge`](crate::Judge) who knows what was answered.
///
/// Give it the very response that the handler returns. It holds all headers but those that must not
/// be replayed to anybody; of it the layer replays what it would have kept itself: the headers of
/// its list, and a body up to its limit.
///
/// ```
/// use redis_idem::http::{outcome_of, response_of};
///
/// let response = http::Response::builder().status(201).header("location", "/payments/7").body("paid")?;
/// let again = response_of(outcome_of(&response))?;
/// assert_eq!((again.status().as_u16(), &again.body()[..]), (201, &b"paid"[..]));
/// assert_eq!(again.headers()["location"], "/payments/7");
/// assert_eq!(again.headers()["idempotent-replayed"], "true");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn outcome_of(response: &Response<impl AsRef<[u8]>>) -> Bytes {
    pack(response.status(), response.headers(), may_be_kept, Some(response.body().as_ref()))
}

/// The response of an outcome, with `Idempotent-Replayed: true`: what a handler answers that finds
/// its request done by another transaction (`sql::Recorded::Before`).
///
/// # Errors
///
/// [`Error::Redis`] for bytes that [`outcome_of`] has not made.
pub fn response_of(outcome: Bytes) -> Result<Response<Bytes>, Error> {
    match unpack(outcome, may_be_kept) {
        Some(Stored::Response(response)) => Ok(response),
        _ => Err(RedisError::codec("idem/response", "the outcome is no response of this version").into()),
    }
}

/// The kept form of a response; of one whose body is not kept, that it was given.
pub(super) fn pack(
    status: StatusCode,
    headers: &HeaderMap,
    keeps: impl Fn(&HeaderName) -> bool,
    body: Option<&[u8]>,
) -> Bytes {
    let kept: Vec<_> = headers.iter().filter(|(name, _)| keeps(name)).collect();
    let mut bytes = BytesMut::new();
    bytes.put_u8(VERSION);
    bytes.put_u8(u8::from(body.is_some()));
    bytes.put_u16(status.as_u16());
    bytes.put_u16(u16::try_from(kept.len()).unwrap_or(u16::MAX));
    for (name, value) in kept.into_iter().take(usize::from(u16::MAX)) {
        // A header that is longer than its length field can say does not reach a handler.
        bytes.put_u16(u16::try_from(name.as_str().len()).unwrap_or(0));
        bytes.put_slice(name.as_str().as_bytes());
        bytes.put_u32(u32::try_from(value.len()).unwrap_or(0));
        bytes.put_slice(value.as_bytes());
    }
    bytes.put_slice(body.unwrap_or_default());
    bytes.freeze()
}

/// What was kept of a response.
#[derive(Debug)]
pub(super) enum Stored {
    /// Marked as replayed.
    Response(Response<Bytes>),
    /// It was given to the first caller and not kept.
    NotKept,
}

/// The response in kept bytes, with those of its headers that are replayed; `None` if they are not
/// of this version.
pub(super) fn unpack(mut bytes: Bytes, replays: impl Fn(&HeaderName) -> bool) -> Option<Stored> {
    if bytes.try_get_u8().ok()? != VERSION {
        return None;
    }
    let kept = bytes.try_get_u8().ok()?;
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::from_u16(bytes.try_get_u16().ok()?).ok()?;
    for _ in 0..bytes.try_get_u16().ok()? {
        let length = usize::from(bytes.try_get_u16().ok()?);
        let name = HeaderName::from_bytes(&take(&mut bytes, length)?).ok()?;
        let length = usize::try_from(bytes.try_get_u32().ok()?).ok()?;
        let value = HeaderValue::from_bytes(&take(&mut bytes, length)?).ok()?;
        if replays(&name) {
            response.headers_mut().append(name, value);
        }
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    *response.body_mut() = bytes;
    Some(if kept == 1 { Stored::Response(response) } else { Stored::NotKept })
}

fn take(bytes: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= bytes.len()).then(|| bytes.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("text/plain"));
        headers.append("location", HeaderValue::from_static("/a"));
        headers.append("location", HeaderValue::from_static("/b"));
        headers.insert("set-cookie", HeaderValue::from_static("id=1"));
        headers.insert("x-trace", HeaderValue::from_static("7"));
        headers
    }

    fn listed(name: &HeaderName) -> bool {
        KEPT.contains(name)
    }

    fn names(response: &Response<Bytes>) -> Vec<&str> {
        response.headers().keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn status_body_and_listed_headers_survive() {
        let kept = pack(StatusCode::CREATED, &sample(), listed, Some(b"paid"));
        let Some(Stored::Response(response)) = unpack(kept, |_| true) else { panic!() };
        assert_eq!((response.status(), &response.body()[..]), (StatusCode::CREATED, &b"paid"[..]));
        assert_eq!(response.headers().get_all("location").iter().collect::<Vec<_>>(), ["/a", "/b"]);
        assert_eq!(names(&response), ["content-type", "location", REPLAYED]);
    }

    #[test]
    fn what_others_stored_is_replayed_with_listed_headers_alone() {
        let mut response = Response::new("paid");
        *response.headers_mut() = sample();
        let outcome = outcome_of(&response);
        assert_eq!(
            names(&response_of(outcome.clone()).unwrap()),
            ["content-type", "location", "x-trace", REPLAYED]
        );
        let Some(Stored::Response(response)) = unpack(outcome, listed) else { panic!() };
        assert_eq!(names(&response), ["content-type", "location", REPLAYED]);
    }

    #[test]
    fn bytes_that_were_cut_or_changed_are_refused_or_another_response_but_never_a_panic() {
        let good = pack(StatusCode::OK, &sample(), listed, Some(b"x"));
        for length in 0..good.len() - 1 {
            assert!(response_of(good.slice(..length)).is_err(), "{length} bytes");
        }
        for place in 0..good.len() {
            for byte in 0..=255 {
                let mut bad = good.to_vec();
                bad[place] = byte;
                let _ = response_of(bad.into());
            }
        }
        assert!(response_of(pack(StatusCode::OK, &sample(), listed, None)).is_err(), "its body was not kept");
    }

    #[test]
    fn nothing_that_is_never_kept_is_in_the_list() {
        assert!(KEPT.iter().all(may_be_kept));
    }
}
