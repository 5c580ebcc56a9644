//! What of a session is encrypted, and what it is bound to. Without the feature `encrypt`, and
//! without a keyring, all is stored as it is.

#[cfg(feature = "encrypt")]
pub(crate) use encrypted::{device_in, device_out, value_in, value_out};
#[cfg(not(feature = "encrypt"))]
pub(crate) use plain::{device_in, device_out, value_in, value_out};

#[cfg(feature = "encrypt")]
mod encrypted;
#[cfg(not(feature = "encrypt"))]
mod plain;
