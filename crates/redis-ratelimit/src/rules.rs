//! Several limits in one decision.

use crate::decision::{Decision, PolicyState, Source};
use crate::error::Error;
use crate::keys;
use crate::options::{Kind, Rule};
use crate::scripts::{self, Ask, Limit, Makes};
use crate::telemetry;
use redis_patterns_core::{Namespace, Redis, Tag};
use std::num::NonZeroU64;
use std::sync::Arc;

/// The rules of one limiter: at least one, and no two of one name.
#[derive(Clone, Debug)]
pub(crate) struct Rules(Arc<[Rule]>);

impl Rules {
    pub(crate) fn one(rule: Rule) -> Self {
        Self(Arc::new([rule]))
    }

    /// Those of policies that are in a limiter already.
    pub(crate) fn of_all(rules: impl Iterator<Item = Rule>) -> Self {
        Self(rules.collect())
    }

    pub(crate) fn and(&self, rule: Rule) -> Result<Self, Error> {
        if self.0.iter().any(|other| other.name == rule.name) {
            return Err(Error::Policy("each policy of a limiter has a name of its own"));
        }
        Ok(Self(self.0.iter().cloned().chain([rule]).collect()))
    }

    /// The limits of one subject.
    pub(crate) fn of(&self, namespace: &Namespace, subject: &[u8]) -> Vec<Limit> {
        let tag = Tag::of(subject);
        let limit = |rule: &Rule| Limit {
            keys: keys::limit(namespace, &tag, rule.kind, &rule.name),
            rule: rule.clone(),
        };
        self.0.iter().map(limit).collect()
    }

    /// All units of `cost` or none, if they can ever be had. A slot is one whatever a request costs.
    pub(crate) fn whole(&self, cost: NonZeroU64) -> Result<Ask, Error> {
        let counting = self.0.iter().filter(|rule| rule.kind != Kind::Slots);
        match counting.map(|rule| rule.largest).min() {
            Some(limit) if cost.get() > limit => Err(Error::CostExceedsLimit { cost: cost.get(), limit }),
            _ => Ok(Ask { least: cost, most: cost.get() }),
        }
    }

    /// Charges all `limits`, which are those of a subject, or none.
    pub(crate) async fn check(
        &self,
        redis: &Redis,
        limits: &[Limit],
        ask: Ask,
        makes: Makes<'_>,
    ) -> Result<Decision, Error> {
        telemetry::asked(self.ask(redis, limits, ask, makes)).await
    }

    pub(crate) async fn ask(
        &self,
        redis: &Redis,
        limits: &[Limit],
        ask: Ask,
        makes: Makes<'_>,
    ) -> Result<Decision, Error> {
        let (taken, answers) = scripts::check(redis, limits, ask, makes).await?;
        Ok(self.decision(taken, answers))
    }

    /// Charges each of these subjects, as one call; `None` for one of whom nothing can be said.
    pub(crate) async fn check_each(
        &self,
        redis: &Redis,
        questions: &[(Vec<Limit>, Ask)],
    ) -> Result<Vec<Option<Decision>>, Error> {
        let answers = scripts::check_each(redis, questions).await?;
        let decision = |answer: Option<_>| answer.map(|(taken, answers)| self.decision(taken, answers));
        Ok(answers.into_iter().map(decision).collect())
    }

    fn decision(&self, taken: u64, answers: Vec<scripts::Answer>) -> Decision {
        let state = |(rule, answer): (&Rule, scripts::Answer)| PolicyState {
            policy: Arc::clone(&rule.name),
            limit: rule.largest,
            remaining: answer.left,
            retry_after: answer.wait,
            reset_after: answer.reset_after,
            mark: answer.mark,
        };
        Decision::new(Source::Redis, taken, self.0.iter().zip(answers).map(state).collect())
    }
}
