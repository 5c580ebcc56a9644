//! The shared ground of the redis-patterns crates: one Redis handle, one way to name keys, one way
//! to run scripts. It knows Redis, keys, scripts, codecs and errors; it knows no pattern.
//!
//! An application depends on a pattern crate and meets this one as [`Redis`], [`Namespace`] and
//! [`Error`]. Who builds a pattern of their own starts at [`Script`] and [`Key`].
//!
//! # What it promises
//!
//! - A command is sent once and has a deadline. A lost reply is an error that says
//!   [`Executed::Maybe`], never a silent second send. (`cargo test -p redis-patterns-core --test delivery`)
//! - No id chooses its slot, breaks a key or meets another id's key. (`--test keys`)
//! - A script that the server does not know follows as source to the same node, so a flushed
//!   script cache or a failover costs one more round trip, not an error. (`--test scripts`)
//! - No error holds a password, a key, an argument or a stored value.
//!
//! # What it does not promise
//!
//! - That an acknowledged write survives a failover: Redis replicates after it answers.
//! - That a dropped future takes back its command.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(not(test), warn(clippy::unwrap_used))]

mod args;
mod backoff;
mod clock;
#[cfg(feature = "serde")]
mod codec;
mod digest;
mod envelope;
mod error;
mod key;
#[cfg(feature = "encrypt")]
mod keyring;
mod random;
mod redis;
mod reply;
mod resend;
mod script;
mod server_info;
mod slot;
pub mod telemetry;

pub use args::{Args, millis};
pub use backoff::Backoff;
pub use clock::{BootInstant, Clock, TestClock};
#[cfg(feature = "serde")]
pub use codec::Codec;
#[cfg(feature = "json")]
pub use codec::Json;
#[cfg(feature = "msgpack")]
pub use codec::MessagePack;
pub use digest::{Digest, FieldHasher};
pub use envelope::{CodecId, Envelope};
pub use error::{Error, ErrorKind, Executed};
pub use key::{Key, Namespace, Tag};
#[cfg(feature = "encrypt")]
pub use keyring::Keyring;
pub use random::{Token, hex, random_bytes};
pub use redis::{Dedicated, Notice, Redis, RedisBuilder, Subscription};
pub use reply::{FromReply, Value};
pub use resend::until_answered;
pub use script::Script;
pub use server_info::{Flavour, ServerInfo, Version};
pub use slot::slot;
