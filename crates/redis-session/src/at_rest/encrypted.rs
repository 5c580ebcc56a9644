//! With the feature `encrypt`.

use crate::keys::SessionKeys;
use crate::options::Options;
use bytes::Bytes;
use redis_patterns_core::{CodecId, Envelope, Error, Key};

const OPERATION: &str = "session/value";
/// The version of an envelope whose payload is another envelope, encrypted.
const ENCRYPTED: u8 = 2;

/// The value as it is stored under this key, and no other.
pub(crate) fn value_in(options: &Options, keys: &SessionKeys, plain: Bytes) -> Result<Bytes, Error> {
    let Some(keyring) = options.keyring() else { return Ok(plain) };
    let payload = keyring.seal(keys.session.as_bytes(), &plain)?;
    Ok(Envelope { version: ENCRYPTED, codec: CodecId::Raw, payload }.seal())
}

/// The value as it was before.
pub(crate) fn value_out(options: &Options, keys: &SessionKeys, stored: Bytes) -> Result<Bytes, Error> {
    let envelope = Envelope::open(OPERATION, stored.clone(), ENCRYPTED)?;
    match (envelope.version == ENCRYPTED, options.keyring()) {
        (true, Some(keyring)) => keyring.open(OPERATION, keys.session.as_bytes(), &envelope.payload),
        (true, None) => Err(Error::codec(OPERATION, "the stored value is encrypted")
            .with_next("give the options its keyring")),
        (false, Some(_)) if !options.reads_plain() => {
            Err(Error::codec(OPERATION, "the stored value is not encrypted")
                .with_next("let the options read plain ones until those from before have ended"))
        }
        (false, _) => Ok(stored),
    }
}

/// The device as it is stored: bound to the user, since the session's key changes when it is rotated.
pub(crate) fn device_in(options: &Options, index: &Key, device: &str) -> Result<Bytes, Error> {
    let device = device.as_bytes();
    let stored = options.keyring().map(|keyring| keyring.seal(index.as_bytes(), device)).transpose()?;
    Ok(stored.unwrap_or_else(|| Bytes::copy_from_slice(device)))
}

/// The device as it was said; empty if it cannot be read: a list of devices is worth more than a
/// name in it.
pub(crate) fn device_out(options: &Options, index: &Key, stored: &Bytes) -> String {
    let opened = options.keyring().map(|keyring| keyring.open(OPERATION, index.as_bytes(), stored));
    let text = match opened {
        Some(Ok(text)) => text,
        Some(Err(_)) if !options.reads_plain() => Bytes::new(),
        Some(Err(_)) | None => stored.clone(),
    };
    String::from_utf8_lossy(&text).into_owned()
}
