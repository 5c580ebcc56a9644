#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod at_rest;
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
mod plain;
mod recorder;
mod scripts;
mod sessions;
#[cfg(feature = "sqlx")]
pub mod sql;
mod stored;
mod telemetry;
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
pub use plain::PlainSessions;
pub use recorder::{Event, SessionRecorder};
#[cfg(feature = "json")]
pub use redis_patterns_core::Json;
#[cfg(feature = "encrypt")]
pub use redis_patterns_core::Keyring;
#[cfg(feature = "msgpack")]
pub use redis_patterns_core::MessagePack;
/// The handle, the names and the codecs that the calls above take.
pub use redis_patterns_core::{Codec, Namespace, Redis};
pub use sessions::{Device, Extension, Loaded, LogIn, Others, Revocation, Rotation, Sessions, Swap, Update};
pub use tokens::{Consumed, OneTimeTokens};
pub use version::Version;
