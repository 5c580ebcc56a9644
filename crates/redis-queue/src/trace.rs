//! The trace context that a job carries from its producer to its worker.

use std::fmt;
use std::str::FromStr;

/// Bytes of a context in an envelope.
pub(crate) const BYTES: usize = 25;

/// A W3C `traceparent`: which trace a job belongs to, and which span pushed it.
///
/// Plain text on both sides, so that any tracing library can fill and read it. `tracestate` is not
/// carried.
///
/// ```
/// use redis_queue::TraceParent;
///
/// let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let parent: TraceParent = text.parse().unwrap();
/// assert_eq!(parent.to_string(), text);
/// assert!("00-0-0-01".parse::<TraceParent>().is_err());
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent([u8; BYTES]);

impl TraceParent {
    /// The 16 bytes that name the trace.
    #[must_use]
    pub fn trace_id(&self) -> &[u8] {
        &self.0[..16]
    }

    /// The 8 bytes that name the span that pushed the job.
    #[must_use]
    pub fn span_id(&self) -> &[u8] {
        &self.0[16..24]
    }

    /// Whether the producer recorded its span.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.0[24] & 1 == 1
    }

    pub(crate) fn from_bytes(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; BYTES] {
        &self.0
    }
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    /// Reads `version-trace-span-flags` in lower-case hexadecimal digits. A later version is read by
    /// its first four parts, as the W3C recommendation has it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('-');
        let mut part =
            |digits: usize| parts.next().filter(|part| part.len() == digits).ok_or(InvalidTraceParent);
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let [version] = digits(version)?;
        if version == 0xFF || (version == 0 && parts.next().is_some()) {
            return Err(InvalidTraceParent);
        }
        let (trace, span, [flags]) = (digits::<16>(trace)?, digits::<8>(span)?, digits(flags)?);
        if trace == [0; 16] || span == [0; 8] {
            return Err(InvalidTraceParent);
        }
        let mut bytes = [flags; BYTES];
        bytes[..16].copy_from_slice(&trace);
        bytes[16..24].copy_from_slice(&span);
        Ok(Self(bytes))
    }
}

fn digits<const N: usize>(text: &str) -> Result<[u8; N], InvalidTraceParent> {
    let lower = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    let (pairs, _) = text.as_bytes().as_chunks::<2>();
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let pair =
            std::str::from_utf8(pair).ok().filter(|_| pair.iter().all(lower)).ok_or(InvalidTraceParent)?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidTraceParent)?;
    }
    Ok(bytes)
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hex = redis_patterns_core::hex;
        write!(f, "00-{}-{}-{}", hex(self.trace_id()), hex(self.span_id()), hex(&self.0[24..]))
    }
}

impl fmt::Debug for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceParent({self})")
    }
}

/// A text that is no `traceparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent: 00-<32 hexadecimal digits>-<16>-<2>, neither id all zero")]
pub struct InvalidTraceParent;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_recommendation_allows_is_read() {
        let (trace, span) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let read = |text: String| text.parse::<TraceParent>();
        assert!(read(format!("00-{trace}-{span}-01")).unwrap().is_sampled());
        assert!(!read(format!("cc-{trace}-{span}-00-later")).unwrap().is_sampled());
        let zero = "0".repeat(32);
        for bad in [
            format!("00-{trace}-{span}-01-more"),
            format!("ff-{trace}-{span}-01"),
            format!("00-{zero}-{span}-01"),
            format!("00-{trace}-{}-01", &zero[..16]),
            format!("00-{}-{span}-01", trace.to_uppercase()),
            format!("00-+{}-{span}-01", &trace[1..]),
            format!("00-{}é-{span}-01", &trace[2..]),
            format!("00-{trace}-{span}"),
            String::new(),
        ] {
            assert_eq!(read(bad.clone()), Err(InvalidTraceParent), "{bad}");
        }
    }
}
