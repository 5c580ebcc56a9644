//! A session as Redis holds it: what scripts read of it stands at fixed places before the value.
//!
//! ```text
//! 0   deadline, begun, seen   13 digits each, milliseconds since 1970 by the server's clock
//! 39  version                 16 hexadecimal digits
//! 55  u or n                  a user's or nobody's
//! 56  length of the device    3 digits
//! 59  device, then the value
//! ```

use crate::version::Version;
use bytes::Bytes;
use redis_patterns_core::Error;
use std::time::{Duration, SystemTime};

const OPERATION: &str = "session/value";
const FIXED: usize = 59;
/// What the device may take here: 3 digits.
const LONGEST_DEVICE: usize = 999;

/// A session whose parts were found.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) deadline: SystemTime,
    pub(crate) begun: SystemTime,
    pub(crate) seen: SystemTime,
    pub(crate) version: Version,
    pub(crate) device: Bytes,
    pub(crate) value: Bytes,
}

impl Stored {
    /// The parts of a whole session, or of its beginning: the value is then cut.
    pub(crate) fn parse(mut bytes: Bytes) -> Result<Self, Error> {
        let unreadable = || Error::codec(OPERATION, "the stored session has not the form of one");
        let head = bytes.get(..FIXED).and_then(|head| std::str::from_utf8(head).ok());
        let head = head.filter(|head| head.is_ascii()).ok_or_else(unreadable)?;
        let digits = |from, to| number(&head[from..to]).ok_or_else(unreadable);
        let device = usize::try_from(digits(56, FIXED)?).map_err(|_| unreadable())?;
        let stored = Self {
            deadline: moment(digits(0, 13)?),
            begun: moment(digits(13, 26)?),
            seen: moment(digits(26, 39)?),
            version: Version::parse(&head[39..55]).ok_or_else(unreadable)?,
            device: Bytes::new(),
            value: Bytes::new(),
        };
        if bytes.len() < FIXED + device {
            return Err(unreadable());
        }
        let value = bytes.split_off(FIXED + device);
        Ok(Self { device: bytes.split_off(FIXED), value, ..stored })
    }
}

/// Everything behind the times, for a session that begins. A device too long to be told in 3 digits
/// is left out; [`Login::device`](crate::Login::device) sees to it that none is.
pub(crate) fn rest(version: &Version, owned: bool, device: &[u8], value: &[u8]) -> Bytes {
    let device = if device.len() > LONGEST_DEVICE { &[] } else { device };
    let owner = if owned { 'u' } else { 'n' };
    let head = format!("{}{owner}{:03}", version.as_str(), device.len());
    [head.as_bytes(), device, value].concat().into()
}

/// Digits alone: `parse` takes a sign as well.
fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

fn moment(ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(ms)
}
