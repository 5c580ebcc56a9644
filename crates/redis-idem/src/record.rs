//! The packed record of one request, and nobody else's business how it is packed.
//!
//! Inside core's envelope (3 bytes: magic, version 2, raw): the state in byte 3, the owner's token
//! in bytes 4 to 19, the fingerprint in 20 to 51, the attempt in 52 to 55, lease, retention and the
//! time of the claim (by the claimer's clock since 1970, 0 for not known) in milliseconds in six bytes each
//! from 56, 62 and 68 (all big endian), the form of the outcome in byte 74 (see payload.rs), then
//! the outcome. Version 1 had lease and retention in eight bytes each, then an outcome in plain form.
//! Scripts read bytes 3 to 19 and nothing else.

use crate::fingerprint::Fingerprint;
use crate::options::{LONGEST_MS, Options};
use crate::payload::{Form, Stored};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use redis_patterns_core::{CodecId, Envelope, Error, millis, random_bytes};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const OPERATION: &str = "idem/record";
const VERSION: u8 = 2;
/// What follows the envelope's own bytes and comes before the outcome, in version 1 and since.
const HEAD_1: usize = 1 + 16 + 32 + 4 + 8 + 8;
const HEAD: usize = 1 + 16 + 32 + 4 + 3 * SPAN + 1;
/// The bytes of a number of milliseconds: 8,900 years.
const SPAN: usize = 6;
/// How far ahead of one's own clock another's is believed to be.
const AHEAD_MS: u64 = 1_000;

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
    /// By the clock of whoever claimed it; 0 if nobody says. It decides nothing: see [`Self::believed_alive`].
    claimed_at_ms: u64,
    pub(crate) outcome: Stored,
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(0)
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
            claimed_at_ms: now_ms(),
            outcome: Stored::default(),
        }
    }

    /// The same request, done.
    pub(crate) fn done(&self, outcome: Stored) -> Self {
        Self { state: State::Done, outcome, ..self.clone() }
    }

    /// The same request, found to be done by somebody else than its owner, whose own end no longer counts.
    pub(crate) fn found_done(&self, outcome: Stored) -> Result<Self, Error> {
        Ok(Self { owner: Owner::random()?, ..self.done(outcome) })
    }

    /// The same request, its outcome unknown.
    pub(crate) fn in_doubt(&self) -> Self {
        Self { state: State::InDoubt, ..self.clone() }
    }

    /// The same request, to be run again by whoever asks next.
    pub(crate) fn abandoned(&self) -> Self {
        Self { state: State::Pending, claimed_at_ms: 0, outcome: Stored::default(), ..self.clone() }
    }

    /// The same claim, made now.
    pub(crate) fn claimed_now(&mut self, attempt: u32) {
        self.attempt = attempt;
        self.claimed_at_ms = now_ms();
    }

    /// What is left of the lease as far as the clocks of two machines agree; `None` if it seems to be
    /// over, and whether it is is for the server to say. A wrong clock makes a caller wait for one
    /// lease too long at most; nothing is ever run for what it says.
    pub(crate) fn believed_alive(&self) -> Option<Duration> {
        let now_ms = now_ms();
        if self.claimed_at_ms == 0 || self.claimed_at_ms > now_ms.saturating_add(AHEAD_MS) {
            return None;
        }
        let age_ms = now_ms.saturating_sub(self.claimed_at_ms);
        (age_ms < self.lease_ms).then(|| Duration::from_millis(self.lease_ms - age_ms))
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
        let mut bytes = BytesMut::with_capacity(HEAD + self.outcome.bytes.len());
        bytes.put_slice(&self.mark());
        bytes.put_slice(self.fingerprint.as_bytes());
        bytes.put_u32(self.attempt);
        for ms in [self.lease_ms, self.retention_ms, self.claimed_at_ms] {
            bytes.put_uint(ms.min(LONGEST_MS), SPAN);
        }
        bytes.put_u8(self.outcome.form.to_byte());
        bytes.put_slice(&self.outcome.bytes);
        Envelope { version: VERSION, codec: CodecId::Raw, payload: bytes.freeze() }.seal()
    }

    /// The record in stored bytes. What is corrupt or newer is an error, never a guess: a guess
    /// could run a request a second time.
    pub(crate) fn unpack(stored: Bytes) -> Result<Self, Error> {
        let corrupt = || Error::codec(OPERATION, "the stored record is cut short or corrupt");
        let envelope = Envelope::open(OPERATION, stored, VERSION)?;
        let mut bytes = envelope.payload;
        let head = if envelope.version == 1 { HEAD_1 } else { HEAD };
        if envelope.codec != CodecId::Raw || bytes.len() < head {
            return Err(corrupt());
        }
        let state = State::from_byte(bytes.get_u8()).ok_or_else(corrupt)?;
        let (mut owner, mut fingerprint) = ([0; 16], [0; 32]);
        bytes.copy_to_slice(&mut owner);
        bytes.copy_to_slice(&mut fingerprint);
        let attempt = bytes.get_u32();
        let (lease_ms, retention_ms, claimed_at_ms, form) = if envelope.version == 1 {
            (bytes.get_u64(), bytes.get_u64(), 0, Form::PLAIN)
        } else {
            let [lease, retention, claimed_at] = [(); 3].map(|()| bytes.get_uint(SPAN));
            (lease, retention, claimed_at, Form::from_byte(bytes.get_u8()).ok_or_else(corrupt)?)
        };
        let fingerprint = Fingerprint::from_bytes(fingerprint);
        let (owner, outcome) = (Owner(owner), Stored { form, bytes });
        Ok(Self { state, owner, fingerprint, attempt, lease_ms, retention_ms, claimed_at_ms, outcome })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Record {
        let claim = Record::claim(Owner([7; 16]), Fingerprint::of("body"), 3, &Options::new());
        claim.done(Stored { form: Form::PLAIN, bytes: Bytes::from("outcome") })
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
    fn a_record_of_version_1_is_read() {
        let mut old = sample().pack()[..56].to_vec();
        old[1] = 1;
        for ms in [30_000_u64, 24 * 3_600_000] {
            old.extend(ms.to_be_bytes());
        }
        old.extend(b"outcome");
        let read = Record::unpack(old.into()).unwrap();
        assert_eq!(read, Record { claimed_at_ms: 0, ..sample() });
        assert_eq!(read.believed_alive(), None);
    }

    #[test]
    fn what_is_cut_short_corrupt_or_newer_is_refused() {
        let good = sample().pack();
        for length in 0..75 {
            assert!(Record::unpack(good.slice(..length)).is_err(), "{length} bytes were read as a record");
        }
        for (place, byte) in [(0, 0), (1, 0), (1, 3), (2, 1), (2, 9), (3, b'?'), (74, 4), (74, 255)] {
            let mut bad = good.to_vec();
            bad[place] = byte;
            assert!(Record::unpack(bad.into()).is_err(), "byte {place} = {byte} was accepted");
        }
    }

    #[test]
    fn a_claim_is_believed_alive_by_clocks_that_agree_and_for_one_lease() {
        let claim = Record { lease_ms: 30_000, ..sample() };
        let at = |claimed_at_ms| Record { claimed_at_ms, ..claim.clone() }.believed_alive();
        let now = now_ms();
        let left = at(now - 10_000).unwrap();
        assert!(left > Duration::from_secs(19) && left <= Duration::from_secs(20), "{left:?}");
        assert_eq!(at(now - 30_000), None, "its lease is over");
        assert!(at(now + 500).unwrap() <= Duration::from_secs(30), "a clock that is a little ahead");
        assert_eq!(at(now + 60_000), None, "a clock that is wrong");
        assert_eq!(at(u64::MAX), None);
        assert_eq!(claim.abandoned().believed_alive(), None);
    }
}
