//! Sessions of a web application, as a tower layer for axum and others (feature `tower`), and an
//! extractor for axum (feature `axum`).
//!
//! The handler finds a [`Session`] among the request's extensions; axum hands it over as an
//! argument. Nothing is read before the handler asks, and nothing but a log-in is written before it has
//! answered:
//!
//! | the request | stored | the answer |
//! |---|---|---|
//! | looks at nothing | no round trip | no cookie |
//! | changes nothing | a load | no cookie |
//! | [changes](Session::change) a session that is there | the change, over the newest value | no cookie |
//! | changes one that was not there | a new session under a new id | the cookie |
//! | changes one that has ended meanwhile | nothing | no cookie |
//! | [logs in](Session::log_in) | a session of the user; the one before it is ended | the cookie |
//! | [renews the id](Session::renew) | the session under another id alone | the cookie |
//! | [logs out](Session::log_out) | the session is ended | the cookie is removed |
//! | fails with 5xx | nothing; a log-in is taken back | no cookie: the session before it stays |
//! | is dropped before its answer | a log-out all the same; a log-in is taken back | |
//!
//! What must be written and cannot be, since Redis is away, turns the answer into 503: the handler's
//! would say what has not happened. Any other failure to write it, such as a recorder that fails or a
//! value that is too large, turns it into 500. Three things are then, or
//! after a 5xx of the handler, not as they were before: sessions that were ended to
//! [make room](crate::WhenFull::EndOldest) for a log-in stay ended; a log-out that Redis has made stays
//! made; and an id that was renewed or a session that was replaced while something after it failed is
//! gone, so that its user has to log in again.
//!
//! # The cookie
//!
//! `__Host-id`, unless named otherwise: only this very host, over TLS, sets and reads it (the prefix
//! makes browsers insist on that). It is `Secure`, `HttpOnly`, `SameSite=Lax` or `Strict`, `Path=/`,
//! without a domain, and ends with the browser unless it is [kept](SessionLayer::kept). An answer
//! that sets or removes it is never stored by a cache (`Cache-Control: no-store`). A cookie that is
//! malformed or foreign is none.
//!
//! # A new id beside another request
//!
//! A request that comes with an id that is gone is one without a session, as any that comes with an id
//! that has expired. So if a log-in or a renewal has given the browser another id while a request with
//! the one before was on its way, and that request changes a session, it begins one of nobody: if its
//! answer comes last, the browser has that cookie, and its user has to log in again. The session of the
//! log-in stays until its time is over. One that had loaded its session before that sets no cookie.
//!
//! A log-in that changes nothing besides sets its cookie without another look: if all sessions of the
//! user were ended just before its answer, that cookie is of a session that is gone, and of no use.
//!
//! # Requests from other sites
//!
//! `SameSite=Lax` keeps the cookie from forms of other sites, not from links: let no GET change
//! anything.

mod commit;
mod cookie;
#[cfg(feature = "axum")]
mod extract;
mod layer;
mod service;
mod session;

pub use cookie::SameSite;
#[cfg(feature = "axum")]
pub use extract::MissingLayer;
pub use layer::SessionLayer;
pub use service::SessionService;
pub use session::Session;
