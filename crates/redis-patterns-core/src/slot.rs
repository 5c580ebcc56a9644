//! The cluster slot of a key: CRC-16/XMODEM modulo 16384.
//!
//! Source: the Redis cluster specification, "Key distribution model" and "Hash tags".

const SLOTS: u16 = 16_384;
const POLYNOMIAL: u16 = 0x1021;

const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ POLYNOMIAL };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// The slot of a key by the server's rule: only what stands between the first `{` and the next `}`
/// counts, if that is not empty.
///
/// ```
/// assert_eq!(redis_patterns_core::slot(b"a{x}b"), redis_patterns_core::slot(b"x"));
/// assert_eq!(redis_patterns_core::slot(b"123456789"), 0x31C3 % 16_384);
/// ```
#[must_use]
pub fn slot(key: &[u8]) -> u16 {
    slot_of_tag(tag_in(key).unwrap_or(key))
}

pub(crate) fn slot_of_tag(tag: &[u8]) -> u16 {
    let crc = tag.iter().fold(0_u16, |crc, &byte| (crc << 8) ^ TABLE[usize::from((crc >> 8) as u8 ^ byte)]);
    crc % SLOTS
}

fn tag_in(key: &[u8]) -> Option<&[u8]> {
    let open = key.iter().position(|&byte| byte == b'{')?;
    let rest = &key[open + 1..];
    let close = rest.iter().position(|&byte| byte == b'}')?;
    (close > 0).then(|| &rest[..close])
}
