//! One `begin` on its way: claim, or judge what is there.

use crate::begin::Begin;
use crate::claim::{Claim, Completion};
use crate::durable::Kept;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::options::Options;
use crate::payload;
use crate::record::{Owner, Record, State};
use crate::scripts::{self, Succession};
use crate::takeover::{Takeover, Verdict};
use redis_patterns_core::until_answered;
use redis_patterns_core::{BootInstant, Key, Redis};
use std::sync::Arc;
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
    options: &'a Arc<Options>,
    claim: Record,
    since: BootInstant,
    delivered: bool,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(
        redis: &'a Redis,
        key: &'a Key,
        fingerprint: Fingerprint,
        options: &'a Arc<Options>,
    ) -> Result<Self, Error> {
        Ok(Self {
            redis,
            key,
            options,
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
            let Some(seen) = there else { return self.began().await };
            if seen.owner == self.claim.owner {
                return self.began().await;
            }
            if seen.fingerprint != self.claim.fingerprint {
                return Ok(Begin::Mismatch);
            }
            match seen.state {
                State::Done => {
                    return Ok(Begin::Replay(payload::load(self.options, self.key, seen.outcome)?));
                }
                State::InDoubt => return Ok(Begin::InDoubt),
                State::Pending if rounds == ROUNDS => return Ok(contended()),
                State::Pending => rounds += 1,
            }
            if let Some(retry_after) = seen.believed_alive() {
                return Ok(Begin::InProgress { retry_after });
            }
            there = match self.succeed(&seen).await? {
                Succession::Taken if self.doubts_at_once() => return Ok(Begin::InDoubt),
                Succession::Taken => return self.began().await,
                Succession::Alive(left) => return Ok(Begin::InProgress { retry_after: left }),
                Succession::Changed(record) => Some(record),
                Succession::Gone => self.claim().await?,
            };
        }
    }

    async fn claim(&mut self) -> Result<Option<Record>, Error> {
        self.claim.claimed_now(1);
        self.since = BootInstant::now();
        Ok(until_answered(|| scripts::claim(self.redis, self.key, &self.claim)).await?)
    }

    /// Puts in the place of a dead claim what the options say: a claim of one's own, or a doubt.
    async fn succeed(&mut self, seen: &Record) -> Result<Succession, Error> {
        self.claim.claimed_now(seen.attempt.saturating_add(1));
        self.since = BootInstant::now();
        let successor = if self.doubts_at_once() { seen.in_doubt() } else { self.claim.clone() };
        Ok(until_answered(|| scripts::takeover(self.redis, self.key, seen, &successor)).await?)
    }

    /// Whether a dead claim becomes a doubt with nobody to be asked about it.
    fn doubts_at_once(&self) -> bool {
        matches!(self.options.takeover_of_abandoned(), Takeover::InDoubt) && self.options.store().is_none()
    }

    /// The claim stands. Those who may know better are asked under it: one caller at a time.
    async fn began(&self) -> Result<Begin, Error> {
        let claim = self.started();
        if let Some(store) = self.options.store() {
            let kept = claim.hold_while(|_| store.lookup(claim.request())).await.map_err(Error::Durable)?;
            if let Some(kept) = kept {
                return self.kept(claim, kept).await;
            }
        }
        let attempts = claim.attempt() - 1;
        let verdict = match self.options.takeover_of_abandoned() {
            _ if attempts == 0 => Verdict::Rerun,
            Takeover::Rerun => Verdict::Rerun,
            Takeover::InDoubt => Verdict::InDoubt,
            Takeover::Ask(judge) => claim.hold_while(|_| judge.judge(claim.request(), attempts)).await,
        };
        match verdict {
            Verdict::Rerun => Ok(Begin::Started(claim)),
            Verdict::Done(outcome) => settled(Begin::Replay(outcome.clone()), claim.complete(outcome).await?),
            Verdict::InDoubt => settled(Begin::InDoubt, claim.indeterminate().await?),
        }
    }

    /// Redis forgot what the store knows: it is told again.
    async fn kept(&self, claim: Claim, kept: Kept) -> Result<Begin, Error> {
        let same = kept.fingerprint == self.claim.fingerprint;
        let begin = if same { Begin::Replay(kept.outcome.clone()) } else { Begin::Mismatch };
        settled(begin, claim.complete_as(kept).await?)
    }

    fn started(&self) -> Claim {
        let (redis, key, record) = (self.redis.clone(), self.key.clone(), self.claim.clone());
        Claim { redis, key, record, since: self.since, options: self.options.clone() }
    }
}

/// The answer, if the record now says the same.
fn settled(answer: Begin, ended: Completion) -> Result<Begin, Error> {
    Ok(if ended == Completion::Stored { answer } else { contended() })
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
