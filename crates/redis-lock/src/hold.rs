//! What is known of a lock that is held, shared by its guard and the watchdog.

use crate::claim::Claim;
use crate::error::Lost;
use crate::fence::FencingToken;
use crate::telemetry;
use redis_patterns_core::BootInstant;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::sync::watch;

/// A timer counts time that stands still in suspend, so no wait is longer than this before the
/// clock that does not is asked again.
const LONGEST_SLEEP: Duration = Duration::from_millis(500);

/// One lock, from its grant to its loss: what a guard knows of it without asking the server.
///
/// [`LockGuard`](crate::LockGuard) and [`QuorumGuard`](crate::QuorumGuard) are one by `Deref`.
pub struct Hold {
    pub(crate) claim: Claim,
    validity: Duration,
    /// The longest hold of one that is renewed, counted from the send of the request.
    max_hold: Option<Duration>,
    state: watch::Sender<State>,
    /// When a request for the lease was last sent, answered or not: the server's ends by this.
    last_sent: Mutex<BootInstant>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Held for the validity from `since`.
    Held {
        since: BootInstant,
        fence: FencingToken,
    },
    Lost(Lost),
}

impl Hold {
    pub(crate) fn new(
        claim: Claim,
        fence: FencingToken,
        validity: Duration,
        max_hold: Option<Duration>,
    ) -> Self {
        let state = watch::Sender::new(State::Held { since: claim.sent, fence });
        let last_sent = Mutex::new(claim.sent);
        Self { claim, validity, max_hold, state, last_sent }
    }

    /// The fence of this grant, to be sent along with every write to what the lock protects.
    ///
    /// # Errors
    ///
    /// [`Lost`] once the guard's time is over, counted from the send of the last request that was
    /// answered, and from then on.
    pub fn fence(&self) -> Result<FencingToken, Lost> {
        self.held().map(|(fence, _)| fence)
    }

    /// How long the guard is certainly held from now on if nothing extends it; zero once it is lost.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        self.held().map_or(Duration::ZERO, |(_, left)| left)
    }

    /// Waits until the lock is lost and says why; for ever while it is held and renewed.
    ///
    /// It ends before the server can give the lock to another, if this process runs: a machine
    /// that stands still learns of it when it goes on.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn lost(&self) -> Lost {
        let mut changes = self.state.subscribe();
        loop {
            match self.held() {
                Err(reason) => return reason,
                Ok((_, left)) => {
                    let wait = tokio::time::sleep(left.min(LONGEST_SLEEP));
                    tokio::select! {
                        () = wait => {}
                        // The sender lives in `self`, so this never fails.
                        _ = changes.changed() => {}
                    }
                }
            }
        }
    }

    /// Runs `work` for as long as the lock is held, and drops it at its next await once it is lost.
    ///
    /// # Work that does not await is not stopped
    ///
    /// And neither is what it has sent already: only the fence stops that.
    ///
    /// # Errors
    ///
    /// [`Lost`] if the lock was lost before `work` ended.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future drops `work`.
    pub async fn run<F: Future>(&self, work: F) -> Result<F::Output, Lost> {
        run_while(|| self.held().map(drop), self.lost(), work).await
    }

    /// Whether the watchdog extends it.
    pub(crate) fn is_renewed(&self) -> bool {
        self.max_hold.is_some()
    }

    /// The fence and what is left; an end that is noticed is remembered, so that what was once
    /// reported lost never counts as held again.
    pub(crate) fn held(&self) -> Result<(FencingToken, Duration), Lost> {
        let state = *self.state.borrow();
        let answer = self.judge(state);
        match (state, answer) {
            (State::Held { .. }, Err(reason)) => Err(self.lose(reason)),
            _ => answer,
        }
    }

    /// Counts the validity from `sent`, unless the lock was lost while the answer was awaited.
    pub(crate) fn renew(&self, sent: BootInstant) -> Result<(), Lost> {
        self.change(|since, fence| State::Held { since: sent.max(since), fence })
    }

    /// Replaces the fence by a higher one of the same hold.
    pub(crate) fn raise(&self, raised: FencingToken) -> Result<(), Lost> {
        self.change(|since, fence| State::Held { since, fence: raised.max(fence) })
    }

    /// Ends the hold; answers why it ended first.
    pub(crate) fn lose(&self, reason: Lost) -> Lost {
        let mut first = reason;
        self.state.send_if_modified(|state| match *state {
            State::Lost(earlier) => {
                first = earlier;
                false
            }
            State::Held { .. } => {
                *state = State::Lost(reason);
                telemetry::lost(reason);
                true
            }
        });
        first
    }

    /// The claim as it is to be given back: the server may count its lease from the last send.
    pub(crate) fn to_free(&self) -> Claim {
        let sent = *self.last_sent.lock().unwrap_or_else(PoisonError::into_inner);
        Claim { sent, ..self.claim.clone() }
    }

    /// Notes that a request for a whole lease is sent now.
    pub(crate) fn sending(&self) -> BootInstant {
        let now = BootInstant::now();
        *self.last_sent.lock().unwrap_or_else(PoisonError::into_inner) = now;
        now
    }

    /// The moment from which the validity counts.
    pub(crate) fn since(&self) -> BootInstant {
        match *self.state.borrow() {
            State::Held { since, .. } => since,
            State::Lost(_) => self.claim.sent,
        }
    }

    /// Notes how the hold went; its guard is given back.
    pub(crate) fn note_end(&self) {
        let margin = self.held().ok().map(|(_, left)| left);
        telemetry::ended(self.claim.sent.elapsed(), margin);
    }

    fn judge(&self, state: State) -> Result<(FencingToken, Duration), Lost> {
        let (since, fence) = match state {
            State::Held { since, fence } => (since, fence),
            State::Lost(reason) => return Err(reason),
        };
        let left = since.remaining_of(self.validity);
        let hold_left = self.max_hold.map_or(left, |longest| self.claim.sent.remaining_of(longest));
        if left.is_zero() {
            Err(Lost::Expired)
        } else if hold_left.is_zero() {
            Err(Lost::HeldTooLong)
        } else {
            Ok((fence, left.min(hold_left)))
        }
    }

    fn change(&self, to: impl FnOnce(BootInstant, FencingToken) -> State) -> Result<(), Lost> {
        self.held()?;
        let mut lost = None;
        self.state.send_modify(|state| match *state {
            State::Held { since, fence } => *state = to(since, fence),
            State::Lost(reason) => lost = Some(reason),
        });
        lost.map_or(Ok(()), Err)
    }
}

/// Runs `work` until it ends or `lost` does, and polls it only while it is `held`: a timer may be late
/// by what the machine stood still.
pub(crate) async fn run_while<F: Future>(
    held: impl Fn() -> Result<(), Lost>,
    lost: impl Future<Output = Lost>,
    work: F,
) -> Result<F::Output, Lost> {
    let mut work = pin!(work);
    let held_work = poll_fn(|context| match held() {
        Ok(()) => work.as_mut().poll(context).map(Ok),
        Err(reason) => Poll::Ready(Err(reason)),
    });
    tokio::select! {
        biased;
        reason = lost => Err(reason),
        output = held_work => output,
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold")
            .field("lock", &self.claim.keys.lock)
            .field("held", &self.held())
            .finish_non_exhaustive()
    }
}
