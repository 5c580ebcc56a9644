#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod binding;
mod code_options;
mod codes;
mod error;
mod id;
mod issue;
mod keys;
mod options;
mod pepper;
mod scripts;
mod sessions;
mod tokens;
#[cfg(any(feature = "tower-sessions", feature = "tower-sessions-014"))]
pub mod tower_sessions;
mod value;

pub use binding::Binding;
pub use code_options::{CodeOptions, Digits};
pub use codes::{Code, Codes, Verdict};
pub use error::Error;
pub use id::{OneTimeToken, SessionId};
pub use issue::Issue;
pub use options::{Options, Purpose};
pub use pepper::Pepper;
/// The handle, the names and the codec that the calls above take.
pub use redis_patterns_core::{Codec, Json, Namespace, Redis};
pub use sessions::{Revocation, Rotation, Sessions, Update};
pub use tokens::{Consumed, OneTimeTokens};
