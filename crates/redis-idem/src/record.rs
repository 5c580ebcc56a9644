//! The packed record of one request, and nobody else's business how it is packed.
//!
//! Inside core's envelope (3 bytes: magic, version 1, raw): the state in byte 3, the owner's token
//! in bytes 4 to 19, the fingerprint in 20 to 51, the attempt in 52 to 55, the lease and the
//! retention in milliseconds in 56 to 63 and 64 to 71 (all big endian), then the outcome.
//! Scripts read bytes 3 to 19 and nothing else.

use crate::fingerprint::Fingerprint;
use crate::options::Options;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use redis_patterns_core::{CodecId, Envelope, Error, millis, random_bytes};
use std::fmt;

const OPERATION: &str = "idem/record";
const VERSION: u8 = 1;
/// What follows the envelope's own bytes and comes before the outcome.
const HEAD: usize = 1 + 16 + 32 + 4 + 8 + 8;

/// Who holds a claim: 128 random bits, new for each attempt. Whoever knows them can complete it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner([u8; 16]);

impl Owner {
    pub(crate) fn random() -> Result<Self, Error> {
        Ok(Self(random_bytes()?))
    }
}

impl fmt::Debug for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Owner(..)")
    }
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Claimed; the outcome is not known.
    Pending,
    /// Claimed and given up; nobody knows what was done. The work does not run again by itself.
    InDoubt,
    /// Done; the record holds the outcome.
    Done,
}

impl State {
    fn to_byte(self) -> u8 {
        match self {
            Self::Pending => b'P',
            Self::InDoubt => b'I',
            Self::Done => b'D',
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Pending, Self::InDoubt, Self::Done].into_iter().find(|state| state.to_byte() == byte)
    }
}

/// All that is known of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) state: State,
    pub(crate) owner: Owner,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) attempt: u32,
    pub(crate) lease_ms: u64,
    pub(crate) retention_ms: u64,
    pub(crate) outcome: Bytes,
}

impl Record {
    /// A claim by `owner`.
    pub(crate) fn claim(owner: Owner, fingerprint: Fingerprint, attempt: u32, options: &Options) -> Self {
        Self {
            state: State::Pending,
            owner,
            fingerprint,
            attempt,
            lease_ms: millis(options.lease_of_claim()).unsigned_abs(),
            retention_ms: millis(options.retention_of_record()).unsigned_abs(),
            outcome: Bytes::new(),
        }
    }

    /// The same request, done.
    pub(crate) fn done(&self, outcome: Bytes) -> Self {
        Self { state: State::Done, outcome, ..self.clone() }
    }

    /// The same request, its outcome unknown.
    pub(crate) fn in_doubt(&self) -> Self {
        Self { state: State::InDoubt, ..self.clone() }
    }

    /// The same request, to be run again by whoever asks next.
    pub(crate) fn abandoned(&self) -> Self {
        Self { state: State::Pending, outcome: Bytes::new(), ..self.clone() }
    }

    /// State and owner as they stand in the packed record: what scripts compare.
    pub(crate) fn mark(&self) -> [u8; 17] {
        let mut mark = [0; 17];
        mark[0] = self.state.to_byte();
        mark[1..].copy_from_slice(&self.owner.0);
        mark
    }

    /// The lease is over once the key's TTL is at most this.
    pub(crate) fn lease_over_ms(&self) -> i64 {
        i64::try_from(self.retention_ms.saturating_sub(self.lease_ms)).unwrap_or(0)
    }

    pub(crate) fn pack(&self) -> Bytes {
        let mut bytes = BytesMut::with_capacity(HEAD + self.outcome.len());
        bytes.put_slice(&self.mark());
        bytes.put_slice(self.fingerprint.as_bytes());
        bytes.put_u32(self.attempt);
        bytes.put_u64(self.lease_ms);
        bytes.put_u64(self.retention_ms);
        bytes.put_slice(&self.outcome);
        Envelope { version: VERSION, codec: CodecId::Raw, payload: bytes.freeze() }.seal()
    }

    /// The record in stored bytes. What is corrupt or newer is an error, never a guess: a guess
    /// could run a request a second time.
    pub(crate) fn unpack(stored: Bytes) -> Result<Self, Error> {
        let corrupt = || Error::codec(OPERATION, "the stored record is cut short or corrupt");
        let envelope = Envelope::open(OPERATION, stored, VERSION)?;
        let mut bytes = envelope.payload;
        if envelope.codec != CodecId::Raw || bytes.len() < HEAD {
            return Err(corrupt());
        }
        let state = State::from_byte(bytes.get_u8()).ok_or_else(corrupt)?;
        let (mut owner, mut fingerprint) = ([0; 16], [0; 32]);
        bytes.copy_to_slice(&mut owner);
        bytes.copy_to_slice(&mut fingerprint);
        Ok(Self {
            state,
            owner: Owner(owner),
            fingerprint: Fingerprint::from_bytes(fingerprint),
            attempt: bytes.get_u32(),
            lease_ms: bytes.get_u64(),
            retention_ms: bytes.get_u64(),
            outcome: bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Record {
        let owner = Owner([7; 16]);
        Record::claim(owner, Fingerprint::of("body"), 3, &Options::new()).done(Bytes::from("outcome"))
    }

    #[test]
    fn a_record_survives_packing() {
        assert_eq!(Record::unpack(sample().pack()).unwrap(), sample());
    }

    #[test]
    fn the_mark_stands_where_scripts_look_for_it() {
        assert_eq!(sample().pack()[3..=19], sample().mark());
    }

    #[test]
    fn what_is_cut_short_corrupt_or_newer_is_refused() {
        let good = sample().pack();
        for length in 0..3 + HEAD {
            assert!(Record::unpack(good.slice(..length)).is_err(), "{length} bytes were read as a record");
        }
        for (place, byte) in [(0, 0), (1, 0), (1, 2), (2, 1), (2, 9), (3, b'?')] {
            let mut bad = good.to_vec();
            bad[place] = byte;
            assert!(Record::unpack(bad.into()).is_err(), "byte {place} = {byte} was accepted");
        }
    }
}
