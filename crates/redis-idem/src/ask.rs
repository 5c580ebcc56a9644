//! One `begin` on its way: claim, or judge what is there.

use crate::abandoned::{Judge, OnAbandoned, Verdict};
use crate::begin::Begin;
use crate::claim::{Claim, Completion};
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::options::Options;
use crate::record::{Owner, Record, State};
use crate::resend::until_answered;
use crate::scripts::{self, Takeover};
use redis_patterns_core::{BootInstant, Key, Redis};
use std::time::Duration;

/// How often a record may vanish or change hands under one call before the caller is sent away.
const ROUNDS: u32 = 3;
/// The wait for a caller who was sent away: the record changes hands faster than it can be read.
const CONTENDED: Duration = Duration::from_secs(1);

/// One call. If nobody will receive its answer (it failed, or its future was dropped), it gives
/// back the claim that the server may have granted.
pub(crate) struct Asked<'a> {
    redis: &'a Redis,
    key: &'a Key,
    on_abandoned: &'a OnAbandoned,
    claim: Record,
    since: BootInstant,
    delivered: bool,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(
        redis: &'a Redis,
        key: &'a Key,
        fingerprint: Fingerprint,
        options: &'a Options,
    ) -> Result<Self, Error> {
        Ok(Self {
            redis,
            key,
            on_abandoned: options.abandoned(),
            claim: Record::claim(Owner::random()?, fingerprint, 1, options),
            since: BootInstant::now(),
            delivered: false,
        })
    }

    pub(crate) async fn answer(mut self) -> Result<Begin, Error> {
        let begin = self.claim_or_judge().await?;
        self.delivered = true;
        Ok(begin)
    }

    async fn claim_or_judge(&mut self) -> Result<Begin, Error> {
        let mut there = self.claim().await?;
        let mut rounds = 0;
        loop {
            let Some(seen) = there else { return Ok(Begin::Started(self.started())) };
            if seen.owner == self.claim.owner {
                return self.began().await;
            }
            if seen.fingerprint != self.claim.fingerprint {
                return Ok(Begin::Mismatch);
            }
            match seen.state {
                State::Done => return Ok(Begin::Replay(seen.outcome)),
                State::InDoubt => return Ok(Begin::InDoubt),
                State::Pending if rounds == ROUNDS => return Ok(contended()),
                State::Pending => rounds += 1,
            }
            there = match self.succeed(&seen).await? {
                Takeover::Taken if matches!(self.on_abandoned, OnAbandoned::InDoubt) => {
                    return Ok(Begin::InDoubt);
                }
                Takeover::Taken => return self.began().await,
                Takeover::Alive(left) => return Ok(Begin::InProgress { retry_after: left }),
                Takeover::Changed(record) => Some(record),
                Takeover::Gone => self.claim().await?,
            };
        }
    }

    async fn claim(&mut self) -> Result<Option<Record>, Error> {
        self.claim.attempt = 1;
        self.since = BootInstant::now();
        Ok(until_answered(|| scripts::claim(self.redis, self.key, &self.claim)).await?)
    }

    /// Puts in the place of a dead claim what the options say: a claim of one's own, or a doubt.
    async fn succeed(&mut self, seen: &Record) -> Result<Takeover, Error> {
        self.claim.attempt = seen.attempt.saturating_add(1);
        self.since = BootInstant::now();
        let successor = match self.on_abandoned {
            OnAbandoned::InDoubt => seen.in_doubt(),
            OnAbandoned::Rerun | OnAbandoned::Ask(_) => self.claim.clone(),
        };
        Ok(until_answered(|| scripts::takeover(self.redis, self.key, seen, &successor)).await?)
    }

    /// The claim stands; after abandoned attempts a judge may still know better.
    async fn began(&self) -> Result<Begin, Error> {
        match self.on_abandoned {
            OnAbandoned::Ask(judge) if self.claim.attempt > 1 => self.judged(judge.as_ref()).await,
            _ => Ok(Begin::Started(self.started())),
        }
    }

    async fn judged(&self, judge: &dyn Judge) -> Result<Begin, Error> {
        let claim = self.started();
        let attempts = claim.attempt() - 1;
        let (answer, ended) = match claim.hold_while(|_| judge.judge(claim.request(), attempts)).await {
            Verdict::Rerun => return Ok(Begin::Started(claim)),
            Verdict::Done(outcome) => (Begin::Replay(outcome.clone()), claim.complete(outcome).await?),
            Verdict::InDoubt => (Begin::InDoubt, claim.indeterminate().await?),
        };
        Ok(if ended == Completion::Stored { answer } else { contended() })
    }

    fn started(&self) -> Claim {
        let (redis, key, record) = (self.redis.clone(), self.key.clone(), self.claim.clone());
        Claim { redis, key, record, since: self.since }
    }
}

fn contended() -> Begin {
    Begin::InProgress { retry_after: CONTENDED }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if self.delivered {
            return;
        }
        let (redis, key, claim) = (self.redis.clone(), self.key.clone(), self.claim.clone());
        self.redis.detach(async move {
            // Best effort: what fails here ends with the lease.
            let _ = scripts::release(&redis, &key, &claim).await;
        });
    }
}
