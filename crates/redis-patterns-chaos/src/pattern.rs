//! The five patterns, by the names of the command line.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a cell puts under load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pattern {
    Ratelimit,
    Lock,
    Idem,
    Session,
    Queue,
}

impl Pattern {
    pub(crate) const ALL: [Self; 5] = [Self::Ratelimit, Self::Lock, Self::Idem, Self::Session, Self::Queue];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ratelimit => "ratelimit",
            Self::Lock => "lock",
            Self::Idem => "idem",
            Self::Session => "session",
            Self::Queue => "queue",
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text.strip_prefix("redis-").unwrap_or(text);
        let found = Self::ALL.into_iter().find(|pattern| pattern.name() == bare);
        found.ok_or_else(|| format!("no pattern {text:?}; there are ratelimit, lock, idem, session, queue"))
    }
}
