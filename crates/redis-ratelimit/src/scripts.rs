//! One typed function per script; nothing else knows their wire shapes.

use crate::keys::LimitKeys;
use crate::options::{Kind, Rule, int};
use redis_patterns_core::{Args, Error, Key, Redis, Script, Token, millis, script};
use std::num::NonZeroU64;
use std::time::Duration;

/// The two scripts that know kinds.
struct Scripts {
    check: Script,
    refund: Script,
}

macro_rules! with_parts {
    ($($part:literal),+) => {
        Scripts {
            check: script!("ratelimit/check", "scripts/check.lua", parts: $($part),+),
            refund: script!("ratelimit/refund", "scripts/refund.lua", parts: $($part),+),
        }
    };
}

// A part costs time in every run, so a limiter of one policy sends only the part of its kind.
static FIXED_WINDOW: Scripts = with_parts!("scripts/fixed_window.lua");
static TOKEN_BUCKET: Scripts = with_parts!("scripts/token_bucket.lua");
static SLIDING_LOG: Scripts = with_parts!("scripts/sliding_log.lua");
static SLIDING_WINDOW: Scripts = with_parts!("scripts/buckets.lua", "scripts/sliding_window.lua");
static APPROXIMATE_WINDOW: Scripts = with_parts!("scripts/buckets.lua", "scripts/approximate_window.lua");
static SLOTS: Scripts = with_parts!("scripts/slots.lua");
static MIXED: Scripts = with_parts!(
    "scripts/fixed_window.lua",
    "scripts/token_bucket.lua",
    "scripts/sliding_log.lua",
    "scripts/buckets.lua",
    "scripts/sliding_window.lua",
    "scripts/approximate_window.lua",
    "scripts/slots.lua"
);
static BLOCK: Script = script!("ratelimit/block", "scripts/block.lua");
static EXTEND: Script = script!("ratelimit/extend", "scripts/extend.lua");

/// One limit of one subject.
#[derive(Clone, Debug)]
pub(crate) struct Limit {
    pub(crate) rule: Rule,
    pub(crate) keys: LimitKeys,
}

/// How much is asked for: nothing below `least`, up to `most`; a `most` of 0 only looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) least: NonZeroU64,
    pub(crate) most: u64,
}

/// What a take makes besides.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Makes<'a> {
    Nothing,
    /// A slot of this holder.
    Slot(&'a Token),
    /// A reservation that has to be settled within this time.
    Reservation(&'a Token, Duration),
}

/// What one limit answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) left: u64,
    /// Until `least` are left; zero if they are.
    pub(crate) wait: Duration,
    /// Until nothing is held against the subject.
    pub(crate) reset_after: Duration,
    pub(crate) mark: Mark,
}

/// Which window, take or bucket was charged, as the script of the policy names it to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark(u64);

impl Mark {
    /// Of nothing: no window, take or bucket is called so.
    pub(crate) const NONE: Self = Self(0);
}

/// Takes of every limit, or of none: how many units, and what each limit says.
pub(crate) async fn check(
    redis: &Redis,
    limits: &[Limit],
    ask: Ask,
    makes: Makes<'_>,
) -> Result<(u64, Vec<Answer>), Error> {
    let (id, hold) = match makes {
        Makes::Nothing => ("", 0),
        Makes::Slot(id) => (id.as_str(), 0),
        Makes::Reservation(id, hold) => (id.as_str(), micros(hold)),
    };
    let args = with_ask(with_rules(now(redis).bytes(id).int(hold), 1, limits), ask);
    let reply: Vec<u64> = redis.run(&scripts_of(limits).check, &keys_of(limits), &args).await?;
    taken_of(&reply, limits).ok_or_else(other_length)
}

/// As [`check`], of the same limits for several subjects; `None` for one whose keys hold something
/// else, and to which nothing was done.
pub(crate) async fn check_each(
    redis: &Redis,
    questions: &[(Vec<Limit>, Ask)],
) -> Result<Vec<Option<(u64, Vec<Answer>)>>, Error> {
    let limits = match questions {
        [] => return Ok(Vec::new()),
        [(limits, ask)] => return Ok(vec![Some(check(redis, limits, *ask, Makes::Nothing).await?)]),
        [(limits, _), ..] => limits,
    };
    let args = with_rules(now(redis).word("").int(0), questions.len(), limits);
    let args = questions.iter().fold(args, |args, (_, ask)| with_ask(args, *ask));
    let keys: Vec<&Key> = questions.iter().flat_map(|(limits, _)| keys_of(limits)).collect();
    let replies: Vec<Vec<i64>> = redis.run_batch(&scripts_of(limits).check, &keys, &args).await?;
    if replies.len() != questions.len() {
        return Err(other_length());
    }
    let taken = |reply: Vec<i64>| {
        let reply = reply.into_iter().map(u64::try_from).collect::<Result<Vec<_>, _>>().ok()?;
        taken_of(&reply, limits)
    };
    Ok(replies.into_iter().map(taken).collect())
}

/// Gives `units` back of the `held` that are left of a take to what each mark names; how many came back to
/// each limit.
pub(crate) async fn refund(
    redis: &Redis,
    limits: &[Limit],
    marks: &[Mark],
    held: u64,
    units: u64,
) -> Result<Vec<u64>, Error> {
    let args = now(redis).int(int(units)).word("").int(0).int(int(held));
    redis.run(&scripts_of(limits).refund, &keys_of(limits), &with_marks(args, limits, marks)).await
}

/// Gives `back` units of a reservation back and ends it; `None` where it had ended before.
pub(crate) async fn settle(
    redis: &Redis,
    limits: &[Limit],
    marks: &[Mark],
    id: &Token,
    reserved: u64,
    back: u64,
) -> Result<Vec<Option<u64>>, Error> {
    let args = now(redis).int(int(back)).bytes(id).int(int(reserved)).int(int(reserved));
    let back: Vec<i64> =
        redis.run(&scripts_of(limits).refund, &keys_of(limits), &with_marks(args, limits, marks)).await?;
    Ok(back.into_iter().map(|units| units.try_into().ok()).collect())
}

/// Gives a slot back; whether it was held.
pub(crate) async fn leave(redis: &Redis, slots: &Limit, id: &Token) -> Result<bool, Error> {
    let args = now(redis).int(1).bytes(id).int(0).int(1);
    let limits = std::slice::from_ref(slots);
    let left: Vec<u64> = redis
        .run(&scripts_of(limits).refund, &keys_of(limits), &with_marks(args, limits, &[Mark::NONE]))
        .await?;
    Ok(left == [1])
}

/// Holds a slot for a whole lease from now; whether it was held.
pub(crate) async fn extend(redis: &Redis, slots: &Limit, id: &Token) -> Result<bool, Error> {
    let args = now(redis).bytes(id).int(slots.rule.numbers[1]);
    redis.run(&EXTEND, &[&slots.keys.state], &args).await
}

/// Denies everything for at least that long; until when it is denied now.
pub(crate) async fn block(redis: &Redis, limits: &[Limit], span: Duration) -> Result<Duration, Error> {
    let keys: Vec<&Key> = limits.iter().map(|limit| &limit.keys.block).collect();
    let left: Vec<u64> = redis.run(&BLOCK, &keys, &Args::new().int(millis(span))).await?;
    Ok(Duration::from_millis(left.into_iter().max().unwrap_or_default()))
}

/// Deletes all keys; whether there was one.
pub(crate) async fn forget(redis: &Redis, limits: &[Limit]) -> Result<bool, Error> {
    let gone: u64 = redis.command("UNLINK", &keys_of(limits), &Args::new()).await?;
    Ok(gone > 0)
}

impl Answer {
    fn new(four: &[u64]) -> Self {
        let [left, wait_us, reset_us, mark] = [four[0], four[1], four[2], four[3]];
        let (wait, reset_after) = (Duration::from_micros(wait_us), Duration::from_micros(reset_us));
        Self { left, wait, reset_after, mark: Mark(mark) }
    }
}

/// The part that knows a kind, and the scripts that have no other.
fn part(kind: Kind) -> (&'static str, &'static Scripts) {
    match kind {
        Kind::FixedWindow => ("fixed_window", &FIXED_WINDOW),
        Kind::TokenBucket => ("token_bucket", &TOKEN_BUCKET),
        Kind::SlidingLog => ("sliding_log", &SLIDING_LOG),
        Kind::CalendarWindow | Kind::SlidingWindow => ("sliding_window", &SLIDING_WINDOW),
        Kind::ApproximateWindow => ("approximate_window", &APPROXIMATE_WINDOW),
        Kind::Slots => ("slots", &SLOTS),
    }
}

fn scripts_of(limits: &[Limit]) -> &'static Scripts {
    match limits {
        [only] => part(only.rule.kind).1,
        _ => &MIXED,
    }
}

fn keys_of(limits: &[Limit]) -> Vec<&Key> {
    limits.iter().flat_map(|limit| [&limit.keys.state, &limit.keys.block, &limit.keys.holds]).collect()
}

fn with_rule(args: Args, rule: &Rule) -> Args {
    rule.numbers.iter().fold(args.word(part(rule.kind).0), |args, number| args.int(*number))
}

/// How many questions there are, how many limits each has, and their rules.
fn with_rules(args: Args, questions: usize, limits: &[Limit]) -> Args {
    let args = args.int(int(questions as u64)).int(int(limits.len() as u64));
    limits.iter().fold(args, |args, limit| with_rule(args, &limit.rule))
}

fn with_ask(args: Args, ask: Ask) -> Args {
    args.int(int(ask.least.get())).int(int(ask.most))
}

fn taken_of(reply: &[u64], limits: &[Limit]) -> Option<(u64, Vec<Answer>)> {
    let (taken, answers) = reply.split_first()?;
    let answers: Vec<Answer> = answers.chunks_exact(4).map(Answer::new).collect();
    (answers.len() == limits.len()).then_some((*taken, answers))
}

fn other_length() -> Error {
    Error::reply("ratelimit/check", "the reply has another length than expected")
}

fn with_marks(args: Args, limits: &[Limit], marks: &[Mark]) -> Args {
    let pairs = limits.iter().zip(marks);
    pairs.fold(args, |args, (limit, mark)| with_rule(args, &limit.rule).int(int(mark.0)))
}

fn now(redis: &Redis) -> Args {
    Args::new().int(redis.clock().micros_arg())
}

/// Rounded up.
fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_nanos().div_ceil(1_000)).unwrap_or(i64::MAX).min(1 << 52)
}
