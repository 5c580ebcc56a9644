//! The cookie: how it is found, set and removed.

use crate::error::Error;
use crate::id::SessionId;
use cookie::Cookie;
use cookie::time::Duration as CookieDuration;
use http::header::{CACHE_CONTROL, COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use std::time::Duration;

/// With it, browsers take a cookie only over TLS, for one host and all of its paths.
const PREFIX: &str = "__Host-";

/// With which requests of other sites the cookie is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// With links that the user follows, so that they arrive logged in; not with forms, images and
    /// scripts.
    Lax,
    /// With none.
    Strict,
}

/// What an answer does about the cookie.
#[derive(Debug)]
pub(super) enum CookieChange {
    Keep,
    Set(SessionId),
    Remove,
}

#[derive(Clone, Debug)]
pub(super) struct CookieSettings {
    name: String,
    pub(super) same_site: SameSite,
    pub(super) kept: Option<Duration>,
}

impl CookieSettings {
    /// # Errors
    ///
    /// For a name that is no token of RFC 6265.
    pub(super) fn named(name: &str) -> Result<Self, Error> {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return Err(Error::Options("the name of a cookie has letters, digits and !#$%&'*+-.^_`|~"));
        }
        Ok(Self::of(name))
    }

    pub(super) fn of(name: &str) -> Self {
        Self { name: format!("{PREFIX}{name}"), same_site: SameSite::Lax, kept: None }
    }

    pub(super) fn rename(&mut self, other: Self) {
        self.name = other.name;
    }

    /// The first id that the request carries under this name.
    pub(super) fn find(&self, headers: &HeaderMap) -> Option<SessionId> {
        self.values(headers).find_map(|value| SessionId::parse(&value))
    }

    /// Whether the browser holds a cookie of this name, be it of any use or not.
    pub(super) fn is_sent(&self, headers: &HeaderMap) -> bool {
        self.values(headers).next().is_some()
    }

    fn values<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = String> + 'a {
        let texts = headers.get_all(COOKIE).into_iter().filter_map(|header| header.to_str().ok());
        let cookies = texts.flat_map(Cookie::split_parse).filter_map(Result::ok);
        cookies.filter(|cookie| cookie.name() == self.name).map(|cookie| cookie.value().to_owned())
    }

    pub(super) fn apply(&self, change: CookieChange, headers: &mut HeaderMap) {
        let (value, age) = match change {
            CookieChange::Keep => return,
            CookieChange::Set(id) => (id.expose(), self.kept),
            CookieChange::Remove => (String::new(), Some(Duration::ZERO)),
        };
        let same_site = match self.same_site {
            SameSite::Lax => cookie::SameSite::Lax,
            SameSite::Strict => cookie::SameSite::Strict,
        };
        let mut cookie = Cookie::build((&self.name, value))
            .secure(true)
            .http_only(true)
            .same_site(same_site)
            .path("/")
            .build();
        cookie.set_max_age(age.map(|age| CookieDuration::try_from(age).unwrap_or(CookieDuration::MAX)));
        // A token, hexadecimal digits and fixed attributes make a header.
        if let Ok(value) = HeaderValue::try_from(cookie.to_string()) {
            headers.append(SET_COOKIE, value);
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(texts: &[&[u8]]) -> HeaderMap {
        let values = texts.iter().map(|text| (COOKIE, HeaderValue::from_bytes(text).unwrap()));
        values.collect()
    }

    #[test]
    fn an_id_is_found_among_other_cookies() {
        let id = "0f".repeat(48);
        let settings = CookieSettings::of("id");
        let texts = [
            format!("__Host-id={id}"),
            format!("a=b; __Host-id={id}; c=d"),
            format!("__Host-id=old; __Host-id={id}"),
            format!(";;;=; __Host-id={id};"),
        ];
        for text in texts {
            let found = settings.find(&sent(&[b"x=y", text.as_bytes()]));
            assert_eq!(found.map(|id| id.expose()), Some(id.clone()), "{text}");
        }
    }

    #[test]
    fn what_is_no_id_is_none_and_never_a_panic() {
        let settings = CookieSettings::of("id");
        let id = "0f".repeat(48);
        let texts = [
            format!("id={id}"),
            format!("__host-id={id}"),
            format!("__Host-id={}", &id[1..]),
            format!("__Host-id={id}0"),
            format!("__Host-id=\"{id}\"0"),
            format!("__Host-id={}", "0f".repeat(100_000)),
            "__Host-id".to_owned(),
            "__Host-id=".to_owned(),
            "=".to_owned(),
            String::new(),
        ];
        for text in texts {
            assert_eq!(settings.find(&sent(&[text.as_bytes()])), None, "{} bytes", text.len());
        }
        assert_eq!(settings.find(&sent(&[b"__Host-id=\xff\xfe"])), None);
    }

    #[test]
    fn a_cookie_that_is_removed_has_the_attributes_of_one_that_is_set() {
        let settings = CookieSettings::of("id");
        let id = SessionId::parse(&"0f".repeat(48)).unwrap();
        for (change, start) in
            [(CookieChange::Set(id), "__Host-id=0f0f"), (CookieChange::Remove, "__Host-id=; ")]
        {
            let mut headers = HeaderMap::new();
            settings.apply(change, &mut headers);
            let text = headers[SET_COOKIE].to_str().unwrap();
            assert!(text.starts_with(start), "{text}");
            for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
                assert!(text.contains(attribute), "{text}");
            }
            assert!(!text.contains("Domain"), "{text}");
            assert_eq!(headers[CACHE_CONTROL], "no-store");
        }
    }

    #[test]
    fn a_name_is_a_token() {
        for bad in ["", "a b", "a;b", "a=b", "é", "a\n"] {
            assert!(CookieSettings::named(bad).is_err(), "{bad:?}");
        }
        assert_eq!(CookieSettings::named("sid").unwrap().name, "__Host-sid");
    }
}
