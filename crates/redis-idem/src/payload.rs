//! Outcomes as they are stored: as they were given, or compressed, or sealed, or both in this order.

use crate::error::Error;
use crate::options::Options;
use bytes::Bytes;
use redis_patterns_core::{Error as RedisError, Key};

const OPERATION: &str = "idem/outcome";

/// What was done to an outcome before it was stored; each bit of the byte is one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Form(u8);

impl Form {
    /// The outcome as it was given.
    pub(crate) const PLAIN: Self = Self(0);
    const COMPRESSED: u8 = 1;
    const SEALED: u8 = 2;

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        (byte <= Self::COMPRESSED | Self::SEALED).then_some(Self(byte))
    }

    pub(crate) fn to_byte(self) -> u8 {
        self.0
    }

    fn is(self, step: u8) -> bool {
        self.0 & step != 0
    }
}

/// An outcome in its stored form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) form: Form,
    pub(crate) bytes: Bytes,
}

/// The stored form of an outcome, as the options ask for.
pub(crate) fn store(options: &Options, key: &Key, outcome: Bytes) -> Result<Stored, Error> {
    let plain = Stored { form: Form::PLAIN, bytes: outcome };
    Ok(seal(options, key, compress(options, plain))?)
}

/// The outcome in its stored form, whatever the options say now.
pub(crate) fn load(options: &Options, key: &Key, stored: Stored) -> Result<Bytes, Error> {
    let bytes = if stored.form.is(Form::SEALED) { open(options, key, &stored)? } else { stored.bytes };
    Ok(if stored.form.is(Form::COMPRESSED) { decompress(&bytes)? } else { bytes })
}

#[cfg(feature = "compress")]
mod lz4 {
    use super::{Form, Options, RedisError, Stored, unreadable};
    use bytes::Bytes;
    use lz4_flex::block;

    /// The longest outcome that is compressed: what a reader allocates at most for a record's sake.
    const LONGEST: usize = 64 << 20;

    /// Compressed, if that is wanted and makes it shorter.
    pub(super) fn compress(options: &Options, plain: Stored) -> Stored {
        let length = plain.bytes.len();
        if options.compress_above().is_none_or(|above| length <= above) || length > LONGEST {
            return plain;
        }
        let bytes = block::compress_prepend_size(&plain.bytes);
        if bytes.len() >= length {
            return plain;
        }
        Stored { form: Form(plain.form.0 | Form::COMPRESSED), bytes: bytes.into() }
    }

    pub(super) fn decompress(bytes: &[u8]) -> Result<Bytes, RedisError> {
        let corrupt = |_| unreadable("the stored outcome is corrupt: it cannot be decompressed");
        let (length, compressed) = block::uncompressed_size(bytes).map_err(corrupt)?;
        if length > LONGEST {
            return Err(unreadable("the stored outcome is corrupt: it says it is longer than 64 MiB"));
        }
        Ok(block::decompress(compressed, length).map_err(corrupt)?.into())
    }
}
#[cfg(feature = "compress")]
use lz4::{compress, decompress};

#[cfg(not(feature = "compress"))]
fn compress(_: &Options, plain: Stored) -> Stored {
    plain
}

#[cfg(not(feature = "compress"))]
fn decompress(_: &[u8]) -> Result<Bytes, RedisError> {
    Err(unreadable("the stored outcome is compressed").with_next("enable the feature `compress`"))
}

#[cfg(feature = "encrypt")]
mod sealed {
    use super::{Form, OPERATION, Options, RedisError, Stored, unreadable};
    use bytes::Bytes;
    use redis_patterns_core::Key;

    /// What a sealed outcome is bound to: the record's key, and what was done to it before.
    fn context(key: &Key, form: Form) -> Vec<u8> {
        [key.as_str().as_bytes(), &[form.to_byte()]].concat()
    }

    pub(super) fn seal(options: &Options, key: &Key, stored: Stored) -> Result<Stored, RedisError> {
        let Some(keyring) = options.keyring() else { return Ok(stored) };
        let form = Form(stored.form.0 | Form::SEALED);
        Ok(Stored { form, bytes: keyring.seal(&context(key, form), &stored.bytes)? })
    }

    pub(super) fn open(options: &Options, key: &Key, stored: &Stored) -> Result<Bytes, RedisError> {
        let keyring = options.keyring().ok_or_else(|| {
            unreadable("the stored outcome is encrypted").with_next("give the options its keyring")
        })?;
        keyring.open(OPERATION, &context(key, stored.form), &stored.bytes)
    }
}
#[cfg(feature = "encrypt")]
use sealed::{open, seal};

#[cfg(not(feature = "encrypt"))]
fn seal(_: &Options, _: &Key, stored: Stored) -> Result<Stored, RedisError> {
    Ok(stored)
}

#[cfg(not(feature = "encrypt"))]
fn open(_: &Options, _: &Key, _: &Stored) -> Result<Bytes, RedisError> {
    Err(unreadable("the stored outcome is encrypted").with_next("enable the feature `encrypt`"))
}

fn unreadable(what: &'static str) -> RedisError {
    RedisError::codec(OPERATION, what)
}
