//! Codecs for values that implement serde's traits (features `serde`, `json` and `msgpack`).

use crate::envelope::CodecId;
use crate::error::Error;
use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A way to turn values into bytes and back.
pub trait Codec: Clone + Send + Sync + 'static {
    /// What an envelope says of it.
    const ID: CodecId;

    /// The encoded value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`](crate::ErrorKind::Codec) if the value has no encoding. The cause is not
    /// kept, since it may quote the value.
    fn encode<T: Serialize + ?Sized>(&self, operation: &'static str, value: &T) -> Result<Bytes, Error>;

    /// The decoded value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`](crate::ErrorKind::Codec) if the bytes are no encoding of a `T`.
    fn decode<T: DeserializeOwned>(&self, operation: &'static str, bytes: &[u8]) -> Result<T, Error>;
}

/// JSON.
#[cfg(feature = "json")]
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

#[cfg(feature = "json")]
impl Codec for Json {
    const ID: CodecId = CodecId::Json;

    fn encode<T: Serialize + ?Sized>(&self, operation: &'static str, value: &T) -> Result<Bytes, Error> {
        let bytes = serde_json::to_vec(value).map_err(|_| cannot_encode(operation))?;
        Ok(bytes.into())
    }

    fn decode<T: DeserializeOwned>(&self, operation: &'static str, bytes: &[u8]) -> Result<T, Error> {
        serde_json::from_slice(bytes).map_err(|_| cannot_decode(operation))
    }
}

/// MessagePack, with the names of fields kept so that fields can be added later.
#[cfg(feature = "msgpack")]
#[derive(Clone, Copy, Debug, Default)]
pub struct MessagePack;

#[cfg(feature = "msgpack")]
impl Codec for MessagePack {
    const ID: CodecId = CodecId::MessagePack;

    fn encode<T: Serialize + ?Sized>(&self, operation: &'static str, value: &T) -> Result<Bytes, Error> {
        let bytes = rmp_serde::to_vec_named(value).map_err(|_| cannot_encode(operation))?;
        Ok(bytes.into())
    }

    fn decode<T: DeserializeOwned>(&self, operation: &'static str, bytes: &[u8]) -> Result<T, Error> {
        rmp_serde::from_slice(bytes).map_err(|_| cannot_decode(operation))
    }
}

#[cfg(any(feature = "json", feature = "msgpack"))]
fn cannot_encode(operation: &'static str) -> Error {
    Error::codec(operation, "the value cannot be encoded")
}

#[cfg(any(feature = "json", feature = "msgpack"))]
fn cannot_decode(operation: &'static str) -> Error {
    Error::codec(operation, "the stored bytes do not decode to the expected type")
}
