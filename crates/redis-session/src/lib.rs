#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod binding;
mod code_options;
mod codes;
mod error;
#[cfg(feature = "tower")]
pub mod http;
mod id;
mod issue;
mod keys;
mod login;
mod options;
mod pepper;
mod scripts;
mod sessions;
mod stored;
mod tokens;
#[cfg(any(feature = "tower-sessions", feature = "tower-sessions-014"))]
pub mod tower_sessions;
mod value;
mod version;

pub use binding::Binding;
pub use code_options::{CodeOptions, Digits};
pub use codes::{Code, Codes, Verdict};
pub use error::Error;
pub use id::{OneTimeToken, SessionId, SessionRef};
pub use issue::Issue;
pub use login::Login;
pub use options::{Options, Purpose, WhenFull};
pub use pepper::Pepper;
/// The handle, the names and the codec that the calls above take.
pub use redis_patterns_core::{Codec, Json, Namespace, Redis};
pub use sessions::{Device, Extension, Loaded, LogIn, Others, Revocation, Rotation, Sessions, Swap, Update};
pub use tokens::{Consumed, OneTimeTokens};
pub use version::Version;
