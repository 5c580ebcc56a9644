//! Limits for HTTP services, as a tower layer for axum and others (feature `tower`), with the fields
//! of the IETF draft "RateLimit header fields for HTTP" (revision 11).
//!
//! | case | answer |
//! |---|---|
//! | admitted | the handler's, with `RateLimit` and `RateLimit-Policy` |
//! | denied | 429, the same fields, and `Retry-After` |
//! | no answer from Redis | as [`WhenDown`](crate::WhenDown) says: the handler's, or 503 and `Retry-After` |
//! | the caller is exempt ([`By::request`]) | the handler's |
//! | the peer's address is not known ([`By::client_ip`]), a key of another type | 500 |
//! | [in shadow](RateLimitLayer::shadow) | the handler's, always |
//!
//! Answers of the layer itself are `application/problem+json` (RFC 9457) of the draft's types. The
//! handler runs only after an allow, and finds the [`Decision`](crate::Decision) among the request's
//! extensions.
//!
//! # The fields
//!
//! `RateLimit-Policy: "login";q=5;w=60`: at most `q` requests in `w` seconds. `RateLimit:
//! "login";r=3;t=42`: `r` more for the next `t` seconds. Seconds are rounded up, so whoever keeps to
//! them is not denied; numbers above 999,999,999,999,999 are given as that, the largest there. `t` is
//! the time until nothing is held any more; where units come back one by one, more may be had before.
//! A denial names the violated policies only. Layers inside each other add their policies to the same
//! fields.

mod by;
mod fields;
mod layer;
mod problem;
mod service;

pub use by::By;
pub use layer::RateLimitLayer;
pub use service::RateLimitService;
