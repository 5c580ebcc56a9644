//! A job's layout in a list element: 32 bytes of header, what the flags name, then the payload.
//! Numbers are big endian.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | `0xA7`, as in every envelope of redis-patterns |
//! | 1 | version of the layout: 1 |
//! | 2 | codec of the payload: 0 raw, 1 JSON, 2 MessagePack |
//! | 3 | flags: what follows the header, in this order |
//! | 4..20 | id, a UUID of version 7 |
//! | 20..22 | how often it was handed out before |
//! | 22..24 | how often a handler failed on it |
//! | 24..26 | how often a worker was lost while it held it |
//! | 26..32 | ms since 1970, by the server's clock, until which it may run; 0 = always |
//!
//! Flag 1: a trace context, 25 bytes: trace id (16), span id (8), trace flags (1).
//! Flag 2: for how many seconds to keep what comes of it, 4 bytes.
//! Flag 4: the payload is kept aside, under the id; nothing follows.
//!
//! An envelope of another version, or with another flag, is one that this version cannot read. The
//! counters stay at 65,535. The scripts change them in place, so they stand at fixed places.

use crate::job::JobId;
use crate::trace::{self, TraceParent};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use redis_patterns_core::CodecId;
use std::num::NonZeroU32;
use std::time::Duration;

/// Bytes before what the flags name.
pub(crate) const HEADER: usize = 32;
const MAGIC: u8 = 0xA7;
const VERSION: u8 = 1;

const TRACED: u8 = 1;
const REPORTED: u8 = 2;
const ASIDE: u8 = 4;
const KNOWN: u8 = TRACED | REPORTED | ASIDE;

/// Everything about a job but its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) codec: u8,
    pub(crate) id: JobId,
    pub(crate) deliveries: u16,
    pub(crate) failures: u16,
    pub(crate) losses: u16,
    /// Milliseconds since 1970; 0 = none.
    pub(crate) deadline_ms: u64,
    pub(crate) trace: Option<TraceParent>,
    pub(crate) keep_result_s: Option<NonZeroU32>,
    /// Whether the payload is kept aside.
    pub(crate) aside: bool,
}

impl Header {
    pub(crate) fn new(codec: CodecId) -> Self {
        let codec = match codec {
            CodecId::Json => 1,
            CodecId::MessagePack => 2,
            _ => 0,
        };
        Self {
            codec,
            id: JobId::new(),
            deliveries: 0,
            failures: 0,
            losses: 0,
            deadline_ms: 0,
            trace: None,
            keep_result_s: None,
            aside: false,
        }
    }

    fn flags(&self) -> u8 {
        let flag = |set, flag| if set { flag } else { 0 };
        flag(self.trace.is_some(), TRACED)
            | flag(self.keep_result_s.is_some(), REPORTED)
            | flag(self.aside, ASIDE)
    }

    /// Whether a worker has nothing to do for the job but to run it.
    pub(crate) fn is_plain(&self) -> bool {
        self.deadline_ms == 0 && self.keep_result_s.is_none() && !self.aside
    }

    /// How long to keep what comes of the job, if anybody wants to know.
    pub(crate) fn keep_result(&self) -> Option<Duration> {
        self.keep_result_s.map(|seconds| Duration::from_secs(u64::from(seconds.get())))
    }

    pub(crate) fn seal(&self, payload: &[u8]) -> Bytes {
        let mut bytes = BytesMut::with_capacity(HEADER + trace::BYTES + 4 + payload.len());
        bytes.put_slice(&[MAGIC, VERSION, self.codec, self.flags()]);
        bytes.put_slice(&self.id.0);
        bytes.put_u16(self.deliveries);
        bytes.put_u16(self.failures);
        bytes.put_u16(self.losses);
        bytes.put_uint(self.deadline_ms, 6);
        if let Some(trace) = &self.trace {
            bytes.put_slice(trace.as_bytes());
        }
        if let Some(seconds) = self.keep_result_s {
            bytes.put_u32(seconds.get());
        }
        bytes.put_slice(payload);
        bytes.freeze()
    }

    /// The header and the payload of an element, or `None` if it is no envelope that this version
    /// can read.
    pub(crate) fn read(element: &Bytes) -> Option<(Self, Bytes)> {
        let mut rest = element.clone();
        let (magic, version) = (rest.try_get_u8().ok()?, rest.try_get_u8().ok()?);
        if magic != MAGIC || version != VERSION || element.len() < HEADER {
            return None;
        }
        let (codec, flags) = (rest.get_u8(), rest.get_u8());
        let mut id = [0; 16];
        rest.copy_to_slice(&mut id);
        let mut header = Self {
            codec,
            id: JobId(id),
            deliveries: rest.get_u16(),
            failures: rest.get_u16(),
            losses: rest.get_u16(),
            deadline_ms: rest.get_uint(6),
            trace: None,
            keep_result_s: None,
            aside: flags & ASIDE != 0,
        };
        if flags & TRACED != 0 {
            let mut context = [0; trace::BYTES];
            rest.try_copy_to_slice(&mut context).ok()?;
            header.trace = Some(TraceParent::from_bytes(context));
        }
        if flags & REPORTED != 0 {
            header.keep_result_s = Some(NonZeroU32::new(rest.try_get_u32().ok()?)?);
        }
        (flags & !KNOWN == 0).then_some((header, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_sealed_is_read_again(
            codec in 0_u8..3, id: [u8; 16], deliveries: u16, failures: u16, losses: u16,
            deadline_ms in 0_u64..1 << 48, trace in proptest::option::of(proptest::array::uniform25(any::<u8>())),
            keep_s: u32, aside: bool, payload in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let trace = trace.map(TraceParent::from_bytes);
            let mut header = Header { id: JobId(id), deliveries, failures, losses, deadline_ms, trace, aside, ..Header::new(CodecId::Raw) };
            (header.codec, header.keep_result_s) = (codec, NonZeroU32::new(keep_s));
            let element = header.seal(&payload);
            prop_assert_eq!(Header::read(&element), Some((header, Bytes::from(payload))));
        }

        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..96)) {
            let _ = Header::read(&Bytes::from(bytes.clone()));
            let start = bytes.len().min(2);
            bytes[..start].copy_from_slice(&[MAGIC, VERSION][..start]);
            let _ = Header::read(&Bytes::from(bytes));
        }
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let mut header = Header::new(CodecId::Json);
        header.id = JobId([7; 16]);
        (header.deliveries, header.failures, header.losses, header.deadline_ms) = (258, 3, 4, 5);
        let mut expected = vec![0xA7, 1, 1, 0];
        expected.extend([7; 16]);
        expected.extend([1, 2, 0, 3, 0, 4, 0, 0, 0, 0, 0, 5]);
        expected.extend(b"hi");
        assert_eq!(header.seal(b"hi"), expected);
        header.trace = Some(TraceParent::from_bytes([9; 25]));
        expected[3] = 1;
        expected.splice(32..32, [9; 25]);
        assert_eq!(header.seal(b"hi"), expected);
        (header.keep_result_s, header.aside) = (NonZeroU32::new(258), true);
        expected[3] = 7;
        expected.splice(57..57, [0, 0, 1, 2]);
        assert_eq!(header.seal(b"hi"), expected);

        let read = |bytes: &[u8]| Header::read(&Bytes::copy_from_slice(bytes));
        assert!(read(&expected).is_some());
        assert_eq!(read(&expected[..31]), None);
        assert_eq!(read(&expected[..60]), None, "what the flags name is cut");
        expected[1] = 2;
        assert_eq!(read(&expected), None, "a later version is not guessed at");
        (expected[1], expected[3]) = (1, 65);
        assert_eq!(read(&expected), None, "nor is a later flag");
    }
}
