//! HTTP to the letter of the IETF draft "The Idempotency-Key HTTP Header Field" (revision 07), as a
//! tower layer for axum and others (feature `tower`).
//!
//! | case | answer |
//! |---|---|
//! | another method than those set (POST and PATCH) | the handler's, unclaimed |
//! | no key | 400, or the handler's, unclaimed ([`MissingKey`]) |
//! | a key that is malformed, empty, over 255 bytes, or sent twice | 400 |
//! | a body over the limit | 413 |
//! | the first of its key | the handler's |
//! | the same again, done | status, body and safe headers of the first, and `Idempotent-Replayed: true` |
//! | the same again, under way | 409 and `Retry-After`, at once or after waiting ([`IdempotencyLayer::wait_up_to`]) |
//! | the same again, in doubt | 409, until somebody settles it ([`IdempotencyLayer::resolve`]) |
//! | another request under the same key, done or under way | 422 |
//! | Redis cannot be asked | 503 and `Retry-After`, or the handler's, unclaimed ([`WhenDown`]) |
//! | Redis is there, the durable store or the audit trail is not | 503 and `Retry-After` |
//!
//! Answers of the layer itself are `application/problem+json` (RFC 9457).
//!
//! # Where to put it
//!
//! Inside authentication, validation and rate limits, whose answers must not be kept, and inside
//! compression, which hides how long a response is. The scope comes from the authenticated caller.
//!
//! A router that strips the front of the path hides it from a layer inside: with axum's `nest("/accounts/{id}", ..)`,
//! `POST /accounts/1/pay` and `POST /accounts/2/pay` are one request to a layer on the inner router, and the second is
//! answered with the response of the first. With feature `axum` (0.8, with axum's own `original-uri`) the layer goes by
//! the path that the client asked for. Without it, put the layer outside of what strips, or the stripped part into the
//! scope.
//!
//! # What is kept of a response
//!
//! The status, the body up to a limit, and headers of a list that holds no cookie and no
//! credential. A longer body, or one of unknown length, reaches the first caller and is not kept:
//! a retry is told that the request was done (409). See [`Keep`] for which statuses are kept.
//!
//! # Written to both
//!
//! A handler that writes to a database can keep its response there, in the same transaction
//! ([`Options::durable`](crate::Options::durable)): [`outcome_of`] gives the bytes to record, so that a retry
//! whose response Redis forgot is answered with the same status, headers and body. The example `axum_payments` does.

mod key;
mod layer;
mod problem;
mod resolve;
mod service;
mod stored;

pub use layer::{IdempotencyLayer, Keep, MissingKey, WhenDown};
pub use service::IdempotencyService;
pub use stored::{outcome_of, response_of};
