//! What a proxy is to do to which request, and what it has done.

use std::collections::BTreeMap;
use std::time::Duration;

/// Which requests a fault is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// Every one, those included with which a client sets its connection up (HELLO, CLIENT, INFO
    /// ..).
    Any,
    /// Those of one command, such as `EVALSHA`; subcommands are not looked at.
    Command(&'static str),
    /// The n-th request after the fault was set, over all connections, and those after it.
    NthAfterNow(usize),
}

/// What a proxy has seen and done. Each fault moves a count of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections accepted, those refused at once not included.
    pub connections: usize,
    /// Connections closed at once under [`refuse`](super::Proxy::refuse).
    pub refused: usize,
    /// Requests passed on whole.
    pub requests: usize,
    /// The same by the command's name, in capitals.
    pub by_command: BTreeMap<String, usize>,
    /// Replies passed on whole.
    pub replies: usize,
    /// Requests passed on whole on connections that then ended before their reply was: executed or
    /// not, the client cannot know.
    pub unanswered: usize,
    /// Connections cut by a fault.
    pub cuts: usize,
    /// Replies swallowed whole: their requests were executed.
    pub lost_replies: usize,
    /// Replies cut in their middle: their requests were executed.
    pub cut_replies: usize,
    /// Requests cut in their middle: not executed.
    pub cut_requests: usize,
    /// Requests and replies held by a delay.
    pub delayed: usize,
    /// Requests and replies held by a stall.
    pub stalled: usize,
    /// Replies passed on in slices.
    pub sliced: usize,
}

impl Counts {
    /// How many requests of this command were passed on.
    #[must_use]
    pub fn of(&self, command: &str) -> usize {
        self.by_command.get(&command.to_uppercase()).copied().unwrap_or_default()
    }
}

/// What happens to one request or its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Pass,
    LoseReply,
    CutInsideReply,
    CutInsideRequest,
}

#[derive(Debug)]
struct Rule {
    action: Action,
    left: usize,
    skip: usize,
    command: Option<&'static str>,
}

/// The faults that are set, and the counts.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) counts: Counts,
    pub(super) cut_after: Option<usize>,
    pub(super) delay: Duration,
    pub(super) slice: usize,
    pub(super) refuse: bool,
    rules: Vec<Rule>,
    /// Open connections of this epoch.
    open: usize,
    epoch: u64,
}

impl Plan {
    pub(super) fn add(&mut self, action: Action, left: usize, matching: Match) {
        let (skip, command) = match matching {
            Match::Any => (0, None),
            Match::Command(name) => (0, Some(name)),
            Match::NthAfterNow(n) => (n.saturating_sub(1), None),
        };
        self.rules.push(Rule { action, left, skip, command });
    }

    pub(super) fn heal(&mut self) {
        let counts = std::mem::take(&mut self.counts);
        *self = Self { counts, open: self.open, epoch: self.epoch, ..Self::default() };
    }

    /// A new connection: its epoch, or `None` if it is refused.
    pub(super) fn admit(&mut self) -> Option<u64> {
        if self.refuse {
            self.counts.refused += 1;
            return None;
        }
        self.counts.connections += 1;
        self.open += 1;
        Some(self.epoch)
    }

    /// Counts every open connection as cut; those of earlier epochs then end.
    pub(super) fn next_epoch(&mut self) -> u64 {
        self.counts.cuts += self.open;
        self.open = 0;
        self.epoch += 1;
        self.epoch
    }

    /// Counts a connection that a fault cuts, unless all of its epoch were.
    pub(super) fn cut(&mut self, epoch: u64) {
        self.counts.cuts += usize::from(epoch == self.epoch);
    }

    pub(super) fn closed(&mut self, epoch: u64) {
        if epoch == self.epoch {
            self.open -= 1;
        }
    }

    /// Decides on a request, by the first rule that matches, and counts it.
    pub(super) fn request(&mut self, name: &str) -> Action {
        let mut action = Action::Pass;
        for rule in &mut self.rules {
            if rule.skip > 0 {
                rule.skip -= 1;
            } else if action == Action::Pass && rule.command.is_none_or(|c| c.eq_ignore_ascii_case(name)) {
                action = rule.action;
                rule.left = rule.left.saturating_sub(1);
            }
        }
        self.rules.retain(|rule| rule.left > 0);
        if action == Action::CutInsideRequest {
            self.counts.cut_requests += 1;
        } else {
            self.counts.requests += 1;
            *self.counts.by_command.entry(name.to_uppercase()).or_default() += 1;
        }
        action
    }

    /// How many bytes of a reply pass before the cut; `None` if it passes whole and the connection
    /// stays.
    pub(super) fn reply(&mut self, action: Action, len: usize) -> Option<usize> {
        let cut = match (action, self.cut_after) {
            (Action::LoseReply, _) => Some(0),
            (Action::CutInsideReply, _) => Some(len / 2),
            (_, Some(left)) if left <= len => Some(left),
            _ => None,
        };
        if let Some(left) = &mut self.cut_after {
            *left -= cut.unwrap_or(len).min(*left);
        }
        match cut {
            None => self.counts.replies += 1,
            Some(0) if action == Action::LoseReply => self.counts.lost_replies += 1,
            Some(passed) => {
                self.counts.cut_replies += usize::from(passed < len);
                self.counts.replies += usize::from(passed == len);
            }
        }
        if cut.is_some() && action == Action::Pass {
            self.cut_after = None;
        }
        cut
    }
}
