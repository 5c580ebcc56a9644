//! A stored value with its version and codec before it, so that a later version can still read it.

use crate::error::Error;
use bytes::{BufMut, Bytes, BytesMut};

/// The first byte of every envelope; a value without it was written by something else.
const MAGIC: u8 = 0xA7;

/// How a payload is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CodecId {
    /// Bytes as the caller gave them.
    Raw,
    /// JSON text (RFC 8259).
    Json,
    /// MessagePack, structs as maps with field names.
    MessagePack,
}

impl CodecId {
    fn to_byte(self) -> u8 {
        match self {
            Self::Raw => 0,
            Self::Json => 1,
            Self::MessagePack => 2,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Raw, Self::Json, Self::MessagePack].into_iter().find(|codec| codec.to_byte() == byte)
    }
}

/// A payload with the version of its layout and its codec.
///
/// Layout: byte 0 is `0xA7`, byte 1 the version, byte 2 the codec (0 raw, 1 JSON, 2 MessagePack),
/// the payload follows.
///
/// ```
/// use bytes::Bytes;
/// use redis_patterns_core::{CodecId, Envelope};
///
/// let sealed = Envelope { version: 1, codec: CodecId::Raw, payload: Bytes::from("hi") }.seal();
/// assert_eq!(sealed.as_ref(), b"\xA7\x01\x00hi");
/// assert_eq!(Envelope::open("demo", sealed, 1).unwrap().payload, "hi");
/// assert!(Envelope::open("demo", Bytes::from("hi"), 1).is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The version of the layout, from 1.
    pub version: u8,
    /// How the payload is encoded.
    pub codec: CodecId,
    /// The encoded value.
    pub payload: Bytes,
}

impl Envelope {
    /// The bytes to store.
    #[must_use]
    pub fn seal(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(3 + self.payload.len());
        bytes.put_u8(MAGIC);
        bytes.put_u8(self.version);
        bytes.put_u8(self.codec.to_byte());
        bytes.put_slice(&self.payload);
        bytes.freeze()
    }

    /// The envelope in stored bytes, if its version is at most `newest_known`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Codec`](crate::ErrorKind::Codec) if the bytes are no envelope, or one of a later version.
    pub fn open(operation: &'static str, mut bytes: Bytes, newest_known: u8) -> Result<Self, Error> {
        if bytes.len() < 3 || bytes[0] != MAGIC {
            return Err(Error::codec(operation, "the stored value is not an envelope of redis-patterns"));
        }
        let version = bytes[1];
        if version == 0 || version > newest_known {
            return Err(Error::codec(operation, "the stored value was written by a newer version")
                .with_next("upgrade this crate on every reader before any writer"));
        }
        let codec = CodecId::from_byte(bytes[2]).ok_or_else(|| {
            Error::codec(operation, "the stored value has a codec this version does not know")
        })?;
        Ok(Self { version, codec, payload: bytes.split_off(3) })
    }
}
