//! A limiter that always has an answer, also while Redis has none.

mod batches;
mod breaker;
mod denials;
mod leases;
mod share;

use crate::decision::{Decision, Degraded, PolicyState, Source};
use crate::error::Error;
use crate::limiter::RateLimiter;
use crate::scripts::Ask;
use crate::telemetry;
use batches::Batches;
use breaker::Breaker;
use denials::Denials;
use leases::Leases;
use redis_patterns_core::{BootInstant, Executed};
use share::{Share, take_of_all};
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// Longer than a slow answer of a healthy server, shorter than a user notices.
const DEADLINE: Duration = Duration::from_millis(50);
/// A single lost connection does not open the breaker.
const FAILURES: NonZeroU32 = NonZeroU32::new(5).unwrap();
/// One request in this time pays the deadline while Redis is away.
const REST: Duration = Duration::from_secs(1);

/// What to answer while Redis gives no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenDown {
    /// Let every request through, uncounted: for a limit that only spares resources.
    FailOpen,
    /// Deny every request: for a limit that protects accounts or money.
    FailClosed,
    /// Count in this process, up to its share: what the policy admits divided by `processes`, rounded
    /// down, so that `processes` of them together admit no more than the policy.
    ///
    /// What Redis admitted before is not known here, and not counted. Under a limit smaller than
    /// `processes` a share is nothing, and every request is denied. Of so many subjects that some meet
    /// in one of 16,384 counts, those share theirs.
    LocalShare {
        /// How many processes check this limit.
        processes: NonZeroU32,
    },
}

/// A [`RateLimiter`] that answers within its deadline, whatever Redis does; cheap to clone.
///
/// One attempt is made for each check. If it fails, [`WhenDown`] says what to answer, and the decision
/// says so: it is [`Degraded`](crate::Outcome::Degraded) or a denial, its
/// [`source`](Decision::source) is [`Source::Fallback`] with the reason, and that says whether the
/// request [may have been charged](Degraded::may_have_charged) all the same.
///
/// After five failures in a row a circuit breaker opens: Redis is not asked but once in a second, and
/// all other checks are answered at once. The first answer closes it. Checks that were under way together
/// and failed count once. In a cluster it counts the
/// calls to all nodes together, so it stays closed while other nodes answer.
///
/// ```no_run
/// # async fn example(limiter: redis_ratelimit::RateLimiter) -> Result<(), redis_ratelimit::Error> {
/// use redis_ratelimit::{Gate, Source, WhenDown};
///
/// let gate = Gate::new(limiter, WhenDown::FailClosed);
/// let decision = gate.check("user-42").await?;
/// if let Source::Fallback(reason) = decision.source {
///     println!("Redis gave no answer: {reason:?}; charged perhaps: {}", reason.may_have_charged());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Gate {
    limiter: RateLimiter,
    when_down: WhenDown,
    breaker: Arc<Breaker>,
    denials: Option<Arc<Denials>>,
    leases: Option<Arc<Leases>>,
    batches: Option<Arc<Batches>>,
    /// Made at the first outage.
    shares: Arc<OnceLock<Vec<Share>>>,
}

impl Gate {
    /// A gate before `limiter`, with a deadline of 50 ms instead of the handle's.
    #[must_use]
    pub fn new(limiter: RateLimiter, when_down: WhenDown) -> Self {
        let breaker = Arc::new(Breaker::new(FAILURES, REST));
        let limiter = limiter.with_deadline(DEADLINE);
        Self {
            limiter,
            when_down,
            breaker,
            denials: None,
            leases: None,
            batches: None,
            shares: Arc::default(),
        }
    }

    /// The same gate with another deadline: what a check takes at most.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.limiter = self.limiter.with_deadline(deadline);
        self
    }

    /// The same gate with a closed breaker that opens after `failures` in a row, and then lets one
    /// check in each `rest` ask Redis. It is 5 and 1 s unless set.
    #[must_use]
    pub fn breaker(mut self, failures: NonZeroU32, rest: Duration) -> Self {
        self.breaker = Arc::new(Breaker::new(failures, rest));
        self
    }

    /// The same gate with an empty cache of up to `subjects` denials: a subject that was denied is
    /// denied here until its `retry_after` is over, if it asks for as much or more. Off unless set.
    ///
    /// Nothing more is admitted by it, and nothing less, unless units come back early: by a
    /// [`refund`](RateLimiter::refund), a [`reset`](RateLimiter::reset) or a [lease](Gate::lease) that
    /// another process or handle gives back, or a reservation that is settled or past its deadline, a
    /// subject may be denied until the end of the wait that it was told.
    ///
    /// An entry takes about 300 bytes and the subject; subjects above 256 bytes are not kept.
    #[must_use]
    pub fn cache_denials(mut self, subjects: NonZeroUsize) -> Self {
        let denials = Arc::new(Denials::new(subjects));
        if let Some(leases) = &self.leases {
            leases.tell(&denials);
        }
        self.denials = Some(denials);
        self
    }

    /// The same gate, which takes units from Redis in chunks of `chunk` and spends them here, each chunk
    /// for at most `hold`: for subjects so hot that Redis or the way to it is what slows them. Off
    /// unless set.
    ///
    /// Units are charged before they are spent, so the sum over all processes never exceeds what the
    /// policies admit. To keep that exact for units that are spent late, Redis counts them for longer:
    /// the window of a [`SlidingLog`](crate::SlidingLog) or [`SlidingWindow`](crate::SlidingWindow) is
    /// longer by `hold`, the burst of a [`TokenBucket`](crate::TokenBucket) smaller by what refills in
    /// `hold`, and units of a [`FixedWindow`](crate::FixedWindow) are spent before its end. So a longer
    /// `hold` admits less.
    ///
    /// What is not spent goes back soon after `hold` is over, or when the last clone of the gate is dropped;
    /// until then other processes may be denied what lies here. A subject that is blocked or reset
    /// spends what it has here for up to `hold`. If the reply to a refill is lost, a whole chunk stays
    /// charged that nobody can spend.
    ///
    /// # The same everywhere
    ///
    /// Every handle on a limit must lease it with the same `hold`: one that does not counts units for a
    /// shorter time than the others need.
    ///
    /// # Errors
    ///
    /// [`Error::Policy`] for a `hold` below a millisecond, and for one in which a whole burst refills.
    pub fn lease(mut self, chunk: NonZeroU64, hold: Duration) -> Result<Self, Error> {
        let leases = Leases::new(&self.limiter, chunk, hold)?;
        self.limiter = leases.limiter().clone();
        if let Some(denials) = &self.denials {
            leases.tell(denials);
        }
        self.leases = Some(Arc::new(leases));
        Ok(self)
    }

    /// The same gate, which sends checks that come at the same time together: up to 64 in one script
    /// call, and up to four calls at once. A check that comes alone waits for no other. Off unless set.
    ///
    /// On a single server that is about twice as many checks in the same time once hundreds of tasks
    /// ask. In a cluster the keys of one script must share a slot, so there every check is a call of its
    /// own, as without this. Nor does it say anything to a gate with [leases](Gate::lease).
    #[must_use]
    pub fn coalesce(mut self) -> Self {
        let single = !self.limiter.redis().is_cluster();
        self.batches = single.then(Arc::default);
        self
    }

    /// Charges one request of `subject` and says whether it may go on. At most one round trip.
    ///
    /// # Errors
    ///
    /// Only what is a mistake, never an outage: [`Error::Redis`] for an answer that is none, such as
    /// that of a key of another type.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a dropped check may still charge.
    ///
    /// # If the reply is lost
    ///
    /// The decision is the fallback's, for [`Degraded::NoAnswer`]: the request may have been charged.
    pub async fn check(&self, subject: impl AsRef<[u8]>) -> Result<Decision, Error> {
        self.check_n(subject, NonZeroU64::MIN).await
    }

    /// Charges a request that costs `cost` units: all of them or none. At most one round trip.
    ///
    /// # Errors
    ///
    /// [`Error::CostExceedsLimit`], before anything is sent, also while Redis is away; otherwise as
    /// [`Gate::check`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a dropped check may still charge.
    ///
    /// # If the reply is lost
    ///
    /// As [`Gate::check`]; all units were charged or none.
    pub async fn check_n(&self, subject: impl AsRef<[u8]>, cost: NonZeroU64) -> Result<Decision, Error> {
        let ask = self.limiter.whole(cost)?;
        self.decide(subject.as_ref(), ask).await
    }

    /// Gives back up to `units` of what `decision` charged to `subject`: see
    /// [`RateLimiter::refund`]. While Redis is away nothing comes back.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a dropped refund may still happen.
    ///
    /// # If the reply is lost
    ///
    /// The units may have come back, all or none. The decision does not offer them again.
    pub async fn refund(
        &self,
        subject: impl AsRef<[u8]>,
        decision: &mut Decision,
        units: NonZeroU64,
    ) -> Result<u64, Error> {
        let back = self.limiter.refund(subject.as_ref(), decision, units).await;
        if let Some(denials) = &self.denials {
            denials.forget(subject.as_ref());
        }
        back
    }

    /// Whether Redis is not asked at the moment, but for a try now and then.
    #[must_use]
    pub fn is_open_circuit(&self) -> bool {
        self.breaker.is_open()
    }

    /// The limiter behind the gate, with the gate's deadline: for what is not a check.
    #[must_use]
    pub fn limiter(&self) -> &RateLimiter {
        &self.limiter
    }

    async fn decide(&self, subject: &[u8], ask: Ask) -> Result<Decision, Error> {
        if let Some(decision) = self.decide_here(subject, ask.least) {
            telemetry::decided(&decision);
            return Ok(decision);
        }
        if !self.breaker.lets_through() {
            return Ok(self.fall_back(subject, ask, Degraded::CircuitOpen));
        }
        let (asked, sent) = (BootInstant::now(), self.breaker.now());
        let answer = match &self.leases {
            Some(leases) => leases.refill(&self.limiter, subject, ask.least).await,
            None => match &self.batches {
                Some(batches) => batches.ask(&self.limiter, subject, ask).await.map(Some),
                None => self.limiter.ask(subject, ask).await.map(Some),
            },
        };
        let decision = match answer {
            Err(Error::Redis(error)) if error.is_outage() => {
                self.breaker.failed(sent);
                let reason = match error.executed() {
                    Executed::Maybe => Degraded::NoAnswer,
                    Executed::No => Degraded::Unreachable,
                };
                return Ok(self.fall_back(subject, ask, reason));
            }
            // Somebody else asked for this subject, and got no answer.
            Ok(None) => return Ok(self.fall_back(subject, ask, Degraded::Unreachable)),
            Ok(Some(decision)) => Ok(decision),
            Err(mistake) => Err(mistake),
        };
        self.breaker.answered();
        if let (Some(denials), Ok(decision)) = (&self.denials, &decision)
            && !decision.is_allowed()
            && decision.source == Source::Redis
        {
            denials.keep(subject, ask.least, asked, decision);
        }
        decision
    }

    fn decide_here(&self, subject: &[u8], cost: NonZeroU64) -> Option<Decision> {
        let lease = self.leases.as_ref().and_then(|leases| leases.spend(subject, cost));
        lease.or_else(|| self.denials.as_ref()?.of(subject, cost))
    }

    fn fall_back(&self, subject: &[u8], ask: Ask, reason: Degraded) -> Decision {
        let rest = self.breaker.rest().max(Duration::from_millis(1));
        let policies = self.limiter.policies();
        let unknown = |wait| policies.iter().map(|policy| PolicyState::unknown(policy, wait)).collect();
        let states = match self.when_down {
            WhenDown::FailOpen => unknown(Duration::ZERO),
            WhenDown::FailClosed => unknown(rest),
            WhenDown::LocalShare { processes } => {
                let make = || policies.iter().map(|policy| Share::new(policy, processes)).collect();
                take_of_all(self.shares.get_or_init(make), subject, ask, rest)
            }
        };
        let decision = Decision::new(Source::Fallback(reason), 0, states);
        telemetry::decided(&decision);
        decision
    }
}
