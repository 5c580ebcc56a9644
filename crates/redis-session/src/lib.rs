#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod error;
mod id;
mod keys;
mod login;
mod options;
mod scripts;
mod sessions;
mod stored;
mod tokens;
mod value;
mod version;

pub use error::Error;
pub use id::{OneTimeToken, SessionId, SessionRef};
pub use login::Login;
pub use options::{Options, Purpose, WhenFull};
/// The handle, the names and the codec that the calls above take.
pub use redis_patterns_core::{Codec, Json, Namespace, Redis};
pub use sessions::{Device, Extension, Loaded, LogIn, Others, Revocation, Rotation, Sessions, Swap, Update};
pub use tokens::OneTimeTokens;
pub use version::Version;
