#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;
mod id;
mod keys;
mod options;
mod scripts;
mod sessions;
mod tokens;
mod value;

pub use error::Error;
pub use id::{OneTimeToken, SessionId};
pub use options::{Options, Purpose};
/// The handle, the names and the codec that the calls above take.
pub use redis_patterns_core::{Codec, Json, Namespace, Redis};
pub use sessions::{Revocation, Rotation, Sessions, Update};
pub use tokens::OneTimeTokens;
