//! A store for [tower-sessions](https://docs.rs/tower-sessions): of 0.15 with the feature
//! `tower-sessions`, of 0.14 with `tower-sessions-014`.
//!
//! Of the races that stores of whole sessions have, it closes those that a store can close:
//!
//! - Requests that change different keys of one session at the same time both keep their change,
//!   since a save writes only what its request changed. Of the same key the last writer wins.
//! - A request under way at a log-out does not bring the session back, neither under its id nor, if
//!   it then calls `cycle_id`, under another.
//! - Redis counts the time down: what is left of a session by the application server's clock is handed
//!   over, not the moment of its end. Clocks that differ count only where one server stores an expiry
//!   that another has set.
//!
//! What only the middleware could close stays: a request that saves after its session has ended
//! answers with the old cookie once more, or with 500 ([`WhenGone`]); and `cycle_id` ends the old
//! session before the handler has answered: a log-out with the old id that comes once the new session is
//! stored does not end that one. [`http`](crate::http) sends no old cookie, and renews the id only with
//! the answer.
//!
//! # The data of a loaded record
//!
//! It holds one key more, which says what the request has found; it is taken out again before
//! anything is stored.

mod data;
mod store;

pub use store::{RedisStore, WhenGone};
