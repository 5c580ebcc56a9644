//! Slow commands by their shape. Names and counts of arguments leave this file, arguments do not:
//! they are people's data.

use redis_patterns_core::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// The server's own default for `slowlog-log-slower-than`.
pub(crate) const SLOW: Duration = Duration::from_millis(10);
/// Older entries were somebody's yesterday.
const RECENT_S: u64 = 3_600;

/// The slow commands of one shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SlowShape {
    pub(crate) times: u32,
    pub(crate) worst: Duration,
}

/// Reads `SLOWLOG GET`: `[id, seconds, microseconds, [name, arguments..], ..]` each.
pub(crate) fn shapes(entries: &[Value], now_s: u64) -> BTreeMap<String, SlowShape> {
    let mut shapes = BTreeMap::new();
    for entry in entries {
        let Some((shape, took)) = read(entry, now_s).filter(|(_, took)| *took >= SLOW) else { continue };
        let slow = shapes.entry(shape).or_insert(SlowShape { times: 0, worst: took });
        slow.times += 1;
        slow.worst = slow.worst.max(took);
    }
    shapes
}

fn read(entry: &Value, now_s: u64) -> Option<(String, Duration)> {
    let Value::Array(fields) = entry else { return None };
    let [_, Value::Int(at_s), Value::Int(took_us), Value::Array(words), ..] = fields.as_slice() else {
        return None;
    };
    let Some(Value::Bytes(name)) = words.first() else { return None };
    let recent = u64::try_from(*at_s).ok()? + RECENT_S >= now_s;
    let name: String = String::from_utf8_lossy(name).chars().filter(char::is_ascii_alphanumeric).collect();
    let shape = match words.len() - 1 {
        0 => name.to_uppercase(),
        1 => format!("{} with 1 argument", name.to_uppercase()),
        // The log keeps the first 31 arguments and the count of the others.
        31.. => format!("{} with many arguments", name.to_uppercase()),
        arguments => format!("{} with {arguments} arguments", name.to_uppercase()),
    };
    recent.then_some((shape, Duration::from_micros((*took_us).try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(at_s: i64, took_us: i64, words: &[&'static str]) -> Value {
        let words = words.iter().map(|word| Value::Bytes((*word).into())).collect();
        Value::Array(vec![Value::Int(1), Value::Int(at_s), Value::Int(took_us), Value::Array(words)])
    }

    #[test]
    fn only_recent_slow_ones_count_and_no_argument_is_kept() {
        let entries = [
            entry(10_000, 20_000, &["get", "secret"]),
            entry(10_000, 30_000, &["GET", "other"]),
            entry(10_000, 9_999, &["SET", "a", "b"]),
            entry(1, 90_000, &["DEL", "a"]),
        ];
        let shapes = shapes(&entries, 10_001);
        let only = SlowShape { times: 2, worst: Duration::from_millis(30) };
        assert_eq!(shapes.into_iter().collect::<Vec<_>>(), [("GET with 1 argument".to_owned(), only)]);
    }
}
