//! A job's layout in a list element: 32 bytes of header, then the payload. Numbers are big endian.
//!
//! | bytes | what |
//! |---|---|
//! | 0 | `0xA7`, as in every envelope of redis-patterns |
//! | 1 | version of the layout: 1 |
//! | 2 | codec of the payload: 0 raw, 1 JSON, 2 MessagePack |
//! | 3 | flags: 0 |
//! | 4..20 | id, a UUID of version 7 |
//! | 20..22 | how often it was handed out before |
//! | 22..24 | how often a handler failed on it |
//! | 24..26 | how often a worker was lost while it held it |
//! | 26..32 | ms since 1970 after which it need not run; 0 = always. Not acted on yet |
//!
//! The counters stay at 65,535. The scripts change them in place, so they stand at fixed places.

use crate::job::JobId;
use bytes::{BufMut, Bytes, BytesMut};
use redis_patterns_core::CodecId;

/// Bytes before the payload.
pub(crate) const HEADER: usize = 32;
const MAGIC: u8 = 0xA7;
const VERSION: u8 = 1;

/// Everything about a job but its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) codec: u8,
    pub(crate) flags: u8,
    pub(crate) id: JobId,
    pub(crate) deliveries: u16,
    pub(crate) failures: u16,
    pub(crate) losses: u16,
    pub(crate) deadline_ms: u64,
}

impl Header {
    pub(crate) fn new(codec: CodecId) -> Self {
        let codec = match codec {
            CodecId::Json => 1,
            CodecId::MessagePack => 2,
            _ => 0,
        };
        Self { codec, flags: 0, id: JobId::new(), deliveries: 0, failures: 0, losses: 0, deadline_ms: 0 }
    }

    pub(crate) fn seal(&self, payload: &[u8]) -> Bytes {
        let mut bytes = BytesMut::with_capacity(HEADER + payload.len());
        bytes.put_slice(&[MAGIC, VERSION, self.codec, self.flags]);
        bytes.put_slice(&self.id.0);
        bytes.put_u16(self.deliveries);
        bytes.put_u16(self.failures);
        bytes.put_u16(self.losses);
        bytes.put_slice(&self.deadline_ms.to_be_bytes()[2..]);
        bytes.put_slice(payload);
        bytes.freeze()
    }

    /// The header of an element, or `None` if it is no envelope of this version.
    pub(crate) fn read(element: &[u8]) -> Option<Self> {
        let header = element.get(..HEADER)?;
        if header[0] != MAGIC || header[1] != VERSION {
            return None;
        }
        let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let mut deadline = [0; 8];
        deadline[2..].copy_from_slice(&header[26..32]);
        Some(Self {
            codec: header[2],
            flags: header[3],
            id: JobId(header[4..20].try_into().ok()?),
            deliveries: number(20),
            failures: number(22),
            losses: number(24),
            deadline_ms: u64::from_be_bytes(deadline),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_sealed_is_read_again(
            codec in 0_u8..3, flags: u8, id: [u8; 16], deliveries: u16, failures: u16, losses: u16,
            deadline_ms in 0_u64..1 << 48, payload in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let header = Header { codec, flags, id: JobId(id), deliveries, failures, losses, deadline_ms };
            let element = header.seal(&payload);
            prop_assert_eq!(Header::read(&element), Some(header));
            prop_assert_eq!(&element[HEADER..], payload);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Header::read(&bytes);
        }
    }

    #[test]
    fn the_layout_is_the_documented_one() {
        let header = Header {
            codec: 1,
            flags: 0,
            id: JobId([7; 16]),
            deliveries: 258,
            failures: 3,
            losses: 4,
            deadline_ms: 5,
        };
        let mut expected = vec![0xA7, 1, 1, 0];
        expected.extend([7; 16]);
        expected.extend([1, 2, 0, 3, 0, 4, 0, 0, 0, 0, 0, 5]);
        expected.extend(b"hi");
        assert_eq!(header.seal(b"hi"), expected);
        assert_eq!(Header::read(&expected[..31]), None);
        expected[1] = 2;
        assert_eq!(Header::read(&expected), None, "a later version is not guessed at");
    }
}
