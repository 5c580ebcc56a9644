//! One event, its line of JSON, and what events add up to.

use super::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What an event says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// About to be sent.
    Invoke,
    /// Happened.
    Ok,
    /// Did not happen.
    Fail,
    /// Unknown.
    Info,
}

impl Kind {
    const ALL: [(Self, &str); 4] =
        [(Self::Invoke, "invoke"), (Self::Ok, "ok"), (Self::Fail, "fail"), (Self::Info, "info")];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("info", |(_, name)| name)
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n)| *n == name).map(|(kind, _)| *kind)
    }
}

/// One line of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Who: a client that does one thing at a time.
    pub process: u64,
    /// Which call; the invoke and the outcome of a call have the same number.
    pub call: u64,
    /// What it says.
    pub kind: Kind,
    /// The operation, such as `acquire`.
    pub op: String,
    /// Of an invoke the argument, of an outcome the result or the reason.
    pub value: String,
    /// When, on the machine's monotonic clock in nanoseconds; `u64::MAX` for the outcome of an open
    /// invoke.
    pub at_ns: u64,
}

impl Event {
    /// The event as one line of JSON, without its end.
    #[must_use]
    pub fn to_json(&self) -> String {
        format!(
            "{{\"at_ns\":{},\"process\":{},\"call\":{},\"kind\":\"{}\",\"op\":{},\"value\":{}}}",
            self.at_ns,
            self.process,
            self.call,
            self.kind.name(),
            json::quote(&self.op),
            json::quote(&self.value),
        )
    }

    /// Reads such a line; `None` if it is none.
    #[must_use]
    pub fn from_json(line: &str) -> Option<Self> {
        let fields = json::object(line)?;
        let text = |name: &str| fields.get(name).and_then(|value| value.text());
        let number = |name: &str| fields.get(name).and_then(json::Value::number);
        Some(Self {
            process: number("process")?,
            call: number("call")?,
            kind: Kind::named(text("kind")?)?,
            op: text("op")?.to_owned(),
            value: text("value")?.to_owned(),
            at_ns: number("at_ns")?,
        })
    }
}

/// Sorts by time and ends every open invoke with an info at the end of time.
pub(super) fn close(mut events: Vec<Event>) -> Vec<Event> {
    // Stable, and an invoke before its outcome when the clock did not move between them.
    events.sort_by_key(|e| (e.at_ns, e.kind));
    let ended: BTreeSet<u64> = events.iter().filter(|e| e.kind != Kind::Invoke).map(|e| e.call).collect();
    let open = events.iter().filter(|e| e.kind == Kind::Invoke && !ended.contains(&e.call));
    let end = |e: &Event| Event {
        kind: Kind::Info,
        value: "no outcome recorded".to_owned(),
        at_ns: u64::MAX,
        ..e.clone()
    };
    let ends: Vec<Event> = open.map(end).collect();
    events.extend(ends);
    events
}

/// A call from its invoke to its outcome: what checkers read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// Who did it.
    pub process: u64,
    /// What.
    pub op: String,
    /// With what argument.
    pub input: String,
    /// How it ended; never [`Kind::Invoke`].
    pub outcome: Kind,
    /// With what result, or why not.
    pub output: String,
    /// When it was about to be sent.
    pub invoked_ns: u64,
    /// When its outcome was known; `u64::MAX` for never.
    pub returned_ns: u64,
}

/// The calls of a history by their invoke. An outcome without its invoke is left out.
#[must_use]
pub fn operations(events: &[Event]) -> Vec<Operation> {
    let ends: BTreeMap<u64, &Event> =
        events.iter().filter(|e| e.kind != Kind::Invoke).map(|e| (e.call, e)).collect();
    let invokes = events.iter().filter(|e| e.kind == Kind::Invoke);
    let pair = |invoke: &Event| {
        let end = ends.get(&invoke.call)?;
        Some(Operation {
            process: invoke.process,
            op: invoke.op.clone(),
            input: invoke.value.clone(),
            outcome: end.kind,
            output: end.value.clone(),
            invoked_ns: invoke.at_ns,
            returned_ns: end.at_ns,
        })
    };
    invokes.filter_map(pair).collect()
}

/// How many calls were made and how they ended. Shown as `invoked 9, ok 7, fail 1, info 1`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Calls.
    pub invoked: usize,
    /// Those that happened.
    pub ok: usize,
    /// Those that did not.
    pub fail: usize,
    /// Those nobody knows of.
    pub info: usize,
}

impl Summary {
    /// Counts these events.
    #[must_use]
    pub fn of(events: &[Event]) -> Self {
        let count = |kind| events.iter().filter(|e| e.kind == kind).count();
        Self {
            invoked: count(Kind::Invoke),
            ok: count(Kind::Ok),
            fail: count(Kind::Fail),
            info: count(Kind::Info),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invoked {}, ok {}, fail {}, info {}", self.invoked, self.ok, self.fail, self.info)
    }
}
