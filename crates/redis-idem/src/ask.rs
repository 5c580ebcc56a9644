//! One `begin` on its way: claim, or judge what is there.

use crate::audit::AuditEvent;
use crate::begin::Begin;
use crate::claim::{Claim, Completion};
use crate::durable::{Author, Kept};
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::options::Options;
use crate::record::{Owner, Record, State};
use crate::scripts::{self, Succession};
use crate::takeover::{Takeover, Verdict};
use crate::{keys, payload};
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
    /// Whether the trail knows of the claim.
    claim_noted: bool,
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
            claim_noted: false,
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
            if let Some(answer) = self.told_by(&seen).await? {
                return Ok(answer);
            }
            if rounds == ROUNDS {
                return Ok(contended());
            }
            rounds += 1;
            there = match self.succeed(&seen).await? {
                Succession::Taken if self.doubts_at_once() => {
                    self.options.note_taken(AuditEvent::InDoubt, self.author(seen.attempt)).await?;
                    return Ok(Begin::InDoubt);
                }
                Succession::Taken => return self.began().await,
                Succession::Alive(left) => return Ok(Begin::InProgress { retry_after: left }),
                Succession::Changed(record) => Some(record),
                Succession::Gone => self.claim().await?,
            };
        }
    }

    /// The answer that a record gives by itself; `None` if the server has to judge its lease.
    async fn told_by(&self, seen: &Record) -> Result<Option<Begin>, Error> {
        if seen.fingerprint != self.claim.fingerprint {
            return self.noted(Begin::Mismatch, AuditEvent::Mismatch, seen.attempt).await.map(Some);
        }
        Ok(match seen.state {
            State::Done => {
                let outcome = payload::load(self.options, self.key, seen.outcome.clone())?;
                Some(self.noted(Begin::Replay(outcome), AuditEvent::Replayed, seen.attempt).await?)
            }
            State::InDoubt => Some(Begin::InDoubt),
            State::Pending => seen.believed_alive().map(|retry_after| Begin::InProgress { retry_after }),
        })
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
    async fn began(&mut self) -> Result<Begin, Error> {
        let claim = self.started();
        if self.options.is_audited() {
            let event = if claim.attempt() == 1 { AuditEvent::Claimed } else { AuditEvent::TakenOver };
            claim.hold_while(|_| self.options.note(event, Author::from(&claim))).await?;
            self.claim_noted = true;
        }
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
            Verdict::Done(outcome) => match known(claim.complete(outcome.clone()).await)? {
                Completion::Stored => {
                    self.noted(Begin::Replay(outcome), AuditEvent::Replayed, attempts + 1).await
                }
                Completion::Lost => Ok(contended()),
            },
            Verdict::InDoubt => Ok(match known(claim.indeterminate().await)? {
                Completion::Stored => Begin::InDoubt,
                Completion::Lost => contended(),
            }),
        }
    }

    /// Redis forgot what the store knows: it is told again.
    async fn kept(&self, claim: Claim, kept: Kept) -> Result<Begin, Error> {
        let attempt = claim.attempt();
        let (begin, event) = if kept.fingerprint == self.claim.fingerprint {
            (Begin::Replay(kept.outcome.clone()), AuditEvent::Replayed)
        } else {
            (Begin::Mismatch, AuditEvent::Mismatch)
        };
        match known(claim.complete_as(kept).await)? {
            Completion::Stored => self.noted(begin, event, attempt).await,
            Completion::Lost => Ok(contended()),
        }
    }

    /// An answer that is in the trail, about the attempt that the record is from.
    async fn noted(&self, answer: Begin, event: AuditEvent, attempt: u32) -> Result<Begin, Error> {
        self.options.note(event, self.author(attempt)).await?;
        Ok(answer)
    }

    fn author(&self, attempt: u32) -> Author<'a> {
        Author { request: keys::request(self.key), fingerprint: self.claim.fingerprint, attempt }
    }

    fn started(&self) -> Claim {
        let (redis, key, record) = (self.redis.clone(), self.key.clone(), self.claim.clone());
        Claim { redis, key, record, since: self.since, options: self.options.clone() }
    }
}

/// What somebody else knows of a request is known, also when Redis goes away before it is told: the
/// next caller asks them again.
fn known(told: Result<Completion, Error>) -> Result<Completion, Error> {
    match told {
        Err(Error::Redis(error)) if error.is_outage() => Ok(Completion::Stored),
        told => told,
    }
}

/// The record changed hands meanwhile: another caller's answer will count.
fn contended() -> Begin {
    Begin::InProgress { retry_after: CONTENDED }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if self.delivered {
            return;
        }
        let (claim, noted) = (self.started(), self.claim_noted);
        self.redis.detach(async move {
            // Best effort: what fails here ends with the lease.
            let released = scripts::release(&claim.redis, &claim.key, &claim.record).await;
            if noted && matches!(released, Ok(true)) {
                let _ = claim.options.note_taken(AuditEvent::Released, Author::from(&claim)).await;
            }
        });
    }
}
