//! A response as it is kept.
//!
//! Byte 0 is the version 1, byte 1 whether the body was kept (1) or not (0), bytes 2 and 3 the
//! status, bytes 4 and 5 the number of headers; each header is the length of its name in two bytes,
//! the name, the length of its value in four, the value (all big endian); then the body.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

const VERSION: u8 = 1;

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

/// Headers that are never kept: cookies, credentials, and what belongs to one connection or moment.
pub(super) const NEVER: [HeaderName; 12] = [
    http::header::SET_COOKIE,
    http::header::AUTHORIZATION,
    http::header::PROXY_AUTHORIZATION,
    http::header::WWW_AUTHENTICATE,
    http::header::PROXY_AUTHENTICATE,
    http::header::CONNECTION,
    http::header::TRANSFER_ENCODING,
    http::header::CONTENT_LENGTH,
    http::header::UPGRADE,
    http::header::TE,
    http::header::TRAILER,
    http::header::DATE,
];

/// The kept form of a response; of one whose body is not kept, that it was given.
pub(super) fn pack(
    status: StatusCode,
    headers: &HeaderMap,
    keep: &[HeaderName],
    body: Option<&Bytes>,
) -> Bytes {
    let kept: Vec<_> = headers.iter().filter(|(name, _)| keep.contains(name)).collect();
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
    bytes.put_slice(body.map_or(&[], |body| body));
    bytes.freeze()
}

/// What was kept of a response.
#[derive(Debug)]
pub(super) enum Stored {
    Response(Response<Bytes>),
    /// It was given to the first caller and not kept.
    NotKept,
}

/// The response in kept bytes; `None` if they are not one of this version.
pub(super) fn unpack(mut bytes: Bytes) -> Option<Stored> {
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
        response.headers_mut().append(name, value);
    }
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

    #[test]
    fn status_body_and_listed_headers_survive() {
        let body = Bytes::from("paid");
        let kept = pack(StatusCode::CREATED, &sample(), &KEPT, Some(&body));
        let Some(Stored::Response(response)) = unpack(kept) else { panic!() };
        assert_eq!((response.status(), response.body()), (StatusCode::CREATED, &body));
        let headers = response.headers();
        assert_eq!(headers.get_all("location").iter().collect::<Vec<_>>(), ["/a", "/b"]);
        assert_eq!(headers.len(), 3, "{headers:?}");
    }

    #[test]
    fn bytes_that_were_cut_or_changed_are_refused_or_another_response_but_never_a_panic() {
        let good = pack(StatusCode::OK, &sample(), &KEPT, Some(&Bytes::from("x")));
        for length in 0..good.len() - 1 {
            assert!(unpack(good.slice(..length)).is_none(), "{length} bytes");
        }
        for place in 0..good.len() {
            for byte in 0..=255 {
                let mut bad = good.to_vec();
                bad[place] = byte;
                let _ = unpack(bad.into());
            }
        }
    }

    #[test]
    fn nothing_that_is_never_kept_is_in_the_list() {
        assert!(KEPT.iter().all(|name| !NEVER.contains(name)));
    }
}
