//! The fields of the draft, and those that were in use before it.

use crate::decision::{Decision, PolicyState};
use crate::options::Policy;
use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use sfv::{Integer, KeyRef, ListSerializer, StringRef, key_ref};
use std::time::Duration;

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The largest number in a structured field (RFC 9651, 3.3.1).
const LARGEST: u64 = 999_999_999_999_999;

/// `"login";q=5;w=60`, the same for every response.
pub(super) fn policies(policies: &[Policy]) -> Option<HeaderValue> {
    let item = |policy: &Policy| {
        let window = seconds(policy.refill_time());
        (name(policy.name()), policy.largest_cost().get(), window)
    };
    list(key_ref("q"), key_ref("w"), policies.iter().map(item))
}

/// Says what is left, and how long to wait.
pub(super) fn tell(headers: &mut HeaderMap, policies: Option<&HeaderValue>, decision: &Decision) {
    let denied = !decision.is_allowed();
    let concerned = decision.policies().iter().filter(|state| !denied || !state.retry_after.is_zero());
    let item = |state: &PolicyState| {
        let until = if denied { state.retry_after } else { state.reset_after };
        (name(&state.policy), state.remaining, seconds(until))
    };
    // Added, not replaced: another layer may have told its own.
    if let Some(value) = list(key_ref("r"), key_ref("t"), concerned.map(item)) {
        headers.append(RATELIMIT, value);
    }
    if let Some(value) = policies {
        headers.append(RATELIMIT_POLICY, value.clone());
    }
    if let Some(wait) = decision.retry_after() {
        headers.insert(RETRY_AFTER, seconds(wait).into());
    }
}

/// The three fields that many clients know, of the tightest policy.
pub(super) fn tell_as_before(headers: &mut HeaderMap, decision: &Decision) {
    let until = decision.retry_after().unwrap_or(decision.reset_after);
    for (name, number) in [(LIMIT, decision.limit), (REMAINING, decision.remaining), (RESET, seconds(until))]
    {
        headers.insert(name, number.into());
    }
}

fn list(
    first: &KeyRef,
    second: &KeyRef,
    items: impl Iterator<Item = (String, u64, u64)>,
) -> Option<HeaderValue> {
    let mut list = ListSerializer::new();
    for (name, one, two) in items {
        let item = list.bare_item(StringRef::from_str(&name).ok()?);
        let _ = item.parameter(first, integer(one)).parameter(second, integer(two));
    }
    HeaderValue::try_from(list.finish()?).ok()
}

fn integer(number: u64) -> Integer {
    let number = number.min(LARGEST).cast_signed();
    Integer::try_from(number).unwrap_or(Integer::MAX)
}

/// Whole seconds, rounded up, at least one.
pub(super) fn seconds(time: Duration) -> u64 {
    let whole = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
    whole.clamp(1, LARGEST)
}

/// A name that can stand in a structured field and in JSON as it is.
pub(super) fn name(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' | b'%' => name.push_str(&format!("%{byte:02X}")),
            b' '..=b'~' => name.push(char::from(byte)),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_rounded_up_and_never_zero() {
        for (time, whole) in [
            (Duration::ZERO, 1),
            (Duration::from_nanos(1), 1),
            (Duration::from_secs(1), 1),
            (Duration::from_millis(1_001), 2),
            (Duration::MAX, LARGEST),
        ] {
            assert_eq!(seconds(time), whole, "{time:?}");
        }
    }

    #[test]
    fn any_name_fits() {
        assert_eq!(name("login per minute"), "login per minute");
        assert_eq!(name("a\"b\\c%\n\u{e9}"), "a%22b%5Cc%25%0A%C3%A9");
    }

    #[test]
    fn numbers_stop_at_the_largest_that_the_format_has() {
        let value = list(key_ref("q"), key_ref("w"), [("a".to_owned(), 1 << 53, 1)].into_iter());
        assert_eq!(value.unwrap(), "\"a\";q=999999999999999;w=1");
    }
}
