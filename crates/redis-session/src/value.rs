//! A user's value in the envelope that a later version can still read.

use bytes::Bytes;
use redis_patterns_core::{Codec, Envelope, Error};
use serde::Serialize;
use serde::de::DeserializeOwned;

const OPERATION: &str = "session/value";
/// The version of an envelope whose payload is the encoded value.
const PLAIN: u8 = 1;

pub(crate) fn seal<T: Serialize, C: Codec>(codec: &C, value: &T) -> Result<Bytes, Error> {
    let payload = codec.encode(OPERATION, value)?;
    Ok(Envelope { version: PLAIN, codec: C::ID, payload }.seal())
}

pub(crate) fn open<T: DeserializeOwned, C: Codec>(codec: &C, stored: Bytes) -> Result<T, Error> {
    let envelope = Envelope::open(OPERATION, stored, PLAIN)?;
    if envelope.codec != C::ID {
        return Err(Error::codec(OPERATION, "the stored value was written by another codec"));
    }
    codec.decode(OPERATION, &envelope.payload)
}
