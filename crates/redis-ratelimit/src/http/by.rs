//! Whom a request is counted against.

use http::request::Parts;
use http::{HeaderName, HeaderValue};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// What one subscriber gets: whoever has a prefix has all of its addresses.
const IPV6_PREFIX: u128 = !0 << 64;

/// Whom a request is counted against; cheap to clone.
#[derive(Clone)]
pub struct By(Arc<SubjectOf>);

type SubjectOf = dyn Fn(&Parts) -> Subject + Send + Sync;

/// What was found out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Id(Vec<u8>),
    Exempt,
    /// The service does not say where its requests come from.
    Unknown,
}

impl By {
    /// The address of the client, behind `trusted_proxies` proxies of one's own; an IPv6 address
    /// counts as its /64.
    ///
    /// `peer` says who is connected: with axum's `into_make_service_with_connect_info` that is
    /// `|request| request.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.ip())`.
    ///
    /// With no proxy that is the client. Each trusted proxy must append the address that it saw to
    /// `X-Forwarded-For`; then the client is that many addresses from the end. What stands before was
    /// written by the client, and is not looked at. If there are fewer addresses, the request came
    /// past a proxy, and the first one is taken; if there is none that can be read, the peer.
    ///
    /// # Too many is as bad as too few
    ///
    /// A number above the truth lets clients choose their address; one below makes all of them one.
    pub fn client_ip(
        trusted_proxies: usize,
        peer: impl Fn(&Parts) -> Option<IpAddr> + Send + Sync + 'static,
    ) -> Self {
        Self::new(move |request| match peer(request) {
            Some(peer) => Subject::Id(network_of(client(request, trusted_proxies, peer)).into_bytes()),
            None => Subject::Unknown,
        })
    }

    /// The value of a header that the service trusts, such as the name of a tenant that a gateway has
    /// set. All requests without it count as one.
    ///
    /// # No secrets
    ///
    /// The value becomes part of a key's name: of an API key, give a digest by [`By::request`].
    pub fn header(name: HeaderName) -> Self {
        Self::new(move |request| {
            Subject::Id(request.headers.get(&name).map_or(&[][..], HeaderValue::as_bytes).to_vec())
        })
    }

    /// The path as it was sent, without the query: a limit on each resource for all callers together.
    /// Other spellings of a path count apart, so it does not hold against whoever means harm.
    #[must_use]
    pub fn path() -> Self {
        Self::new(|request| Subject::Id(request.uri.path().as_bytes().to_vec()))
    }

    /// What `subject` finds out, such as the user that authentication has put among the extensions;
    /// a request for which it is `None` is not limited.
    pub fn request<T: Into<Vec<u8>>>(subject: impl Fn(&Parts) -> Option<T> + Send + Sync + 'static) -> Self {
        Self::new(move |request| subject(request).map_or(Subject::Exempt, |id| Subject::Id(id.into())))
    }

    fn new(subject: impl Fn(&Parts) -> Subject + Send + Sync + 'static) -> Self {
        Self(Arc::new(subject))
    }

    pub(super) fn subject_of(&self, request: &Parts) -> Subject {
        (self.0)(request)
    }
}

impl fmt::Debug for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("By").finish_non_exhaustive()
    }
}

fn client(request: &Parts, trusted_proxies: usize, peer: IpAddr) -> IpAddr {
    let values = request.headers.get_all(FORWARDED_FOR).iter();
    // Bytes: what the client wrote before may be anything, and must not hide what a proxy appended.
    let hops: Vec<&[u8]> = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b',')).collect();
    let Some(before_last) = trusted_proxies.checked_sub(1) else { return peer };
    let at = hops.len().saturating_sub(1).saturating_sub(before_last);
    let hop = hops.get(at).and_then(|hop| std::str::from_utf8(hop).ok());
    hop.and_then(|hop| address(hop.trim())).unwrap_or(peer)
}

/// Some proxies add the port.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(with_port).or_else(in_brackets)
}

fn network_of(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{}/64", Ipv6Addr::from_bits(address.to_bits() & IPV6_PREFIX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn subject(by: &By, headers: &[(&str, &str)]) -> String {
        let mut request = Request::get("/a/b?c=d");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        match by.subject_of(&parts) {
            Subject::Id(id) => String::from_utf8(id).unwrap(),
            other => format!("{other:?}"),
        }
    }

    fn behind(proxies: usize, hops: &[&str]) -> String {
        let headers: Vec<_> = hops.iter().map(|hop| ("x-forwarded-for", *hop)).collect();
        subject(&By::client_ip(proxies, |_| Some(IpAddr::from([10, 0, 0, 1]))), &headers)
    }

    #[test]
    fn the_client_is_as_many_addresses_from_the_end_as_there_are_proxies() {
        assert_eq!(behind(0, &["6.6.6.6"]), "10.0.0.1", "nobody is trusted");
        assert_eq!(behind(1, &["6.6.6.6, 192.0.2.7"]), "192.0.2.7");
        assert_eq!(behind(1, &["6.6.6.6", "192.0.2.7"]), "192.0.2.7", "two lines are one list");
        assert_eq!(behind(2, &["6.6.6.6, 192.0.2.7, 10.0.0.2"]), "192.0.2.7");
        assert_eq!(behind(2, &["192.0.2.7"]), "192.0.2.7", "it came past a proxy");
        assert_eq!(behind(1, &[]), "10.0.0.1");
        for noise in ["\u{e9}", "\u{e9},\u{e9}", "x\t"] {
            assert_eq!(
                behind(1, &[&format!("{noise}, 192.0.2.7")]),
                "192.0.2.7",
                "{noise:?} hides the client"
            );
        }
    }

    #[test]
    fn what_is_no_address_is_that_of_the_peer() {
        for hop in ["unknown", "", "1.2.3", "_hidden", "192.0.2.7 x", "[::1", "\u{e9}"] {
            assert_eq!(behind(1, &[hop]), "10.0.0.1", "{hop:?}");
        }
    }

    #[test]
    fn an_address_is_read_in_each_of_its_forms() {
        for hop in ["192.0.2.7", "192.0.2.7:443", "::ffff:192.0.2.7", "[::ffff:192.0.2.7]:80"] {
            assert_eq!(behind(1, &[hop]), "192.0.2.7", "{hop:?}");
        }
        for hop in ["2001:db8:1:2:3:4:5:6", "[2001:db8:1:2::9]", "[2001:db8:1:2:ffff::]:80"] {
            assert_eq!(behind(1, &[hop]), "2001:db8:1:2::/64", "{hop:?}");
        }
        assert_eq!(behind(1, &["2001:db8:1:3::"]), "2001:db8:1:3::/64");
    }

    #[test]
    fn headers_paths_and_closures() {
        let key = By::header(HeaderName::from_static("x-api-key"));
        assert_eq!((subject(&key, &[("x-api-key", "k1")]), subject(&key, &[])), ("k1".into(), String::new()));
        assert_eq!(subject(&By::path(), &[]), "/a/b");
        let user = By::request(|request| request.headers.get("user").map(|user| user.as_bytes().to_vec()));
        assert_eq!(
            (subject(&user, &[("user", "ann")]), subject(&user, &[])),
            ("ann".into(), "Exempt".into())
        );
        assert_eq!(subject(&By::client_ip(1, |_| None), &[]), "Unknown");
    }
}
