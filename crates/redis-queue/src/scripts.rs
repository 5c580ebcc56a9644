//! One typed function per script or command; nothing else knows their wire shapes.

#[cfg(feature = "cron")]
mod fire;
mod inspect;
mod payload;
mod produce;
mod report;

#[cfg(feature = "cron")]
pub(crate) use fire::{Fired, fire};
pub(crate) use inspect::{dead_letters, delete_dead, inspect, peek, replay};
pub(crate) use payload::{delete_payload, get_payload, put_payload};
pub(crate) use produce::{Due, clock, depth, promote, push, push_unique, schedule};
pub(crate) use report::{State, report, result};

use crate::keys::Keys;
use crate::reader::Session;
use bytes::Bytes;
use redis_patterns_core::{Args, Dedicated, Error, Redis, Script, millis, script};
use std::time::Duration;

static JOIN: Script = script!("queue/join", "scripts/join.lua");
static BEAT: Script = script!("queue/beat", "scripts/beat.lua");
static TAKE: Script = script!("queue/take", "scripts/take.lua");
static ACK: Script = script!("queue/ack", "scripts/ack.lua");
static RELEASE: Script = script!("queue/release", "scripts/release.lua");
static RETRY: Script = script!("queue/retry", "scripts/retry.lua");
static BURY: Script = script!("queue/bury", "scripts/bury.lua");
static OVERDUE: Script = script!("queue/overdue", "scripts/overdue.lua");
static REAP: Script = script!("queue/reap", "scripts/reap.lua");

/// The most jobs in one script: Lua's `unpack` ends near 8,000, and a server that runs a script
/// serves nobody else.
pub(crate) const BATCH: usize = 1_000;
/// The most jobs that one `reap` or `promote` moves.
const MOVE_BATCH: i64 = 500;
/// The longest reason that is kept with a dead letter, in bytes.
const LONGEST_WHY: usize = 1_024;
/// The most incarnations of each kind that one `overdue` names.
const NAMES: i64 = 128;
/// How long the list of an ended incarnation is looked at: longer than a command of a paused
/// machine or a broken network can be under way.
const GRAVE: Duration = Duration::from_secs(3_600);

/// Registers an incarnation.
pub(crate) async fn join(redis: &Redis, keys: &Keys, session: &Session) -> Result<(), Error> {
    let args =
        Args::new().int(redis.clock().micros_arg()).bytes(session.incarnation()).millis(session.lease());
    redis.run(&JOIN, &[&keys.leases], &args).await
}

/// What a heartbeat tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beat {
    pub(crate) renewed: bool,
    /// Jobs in this incarnation's list.
    pub(crate) held: u64,
    /// Leases of others that are over, and lists of those that ended a short while ago: a wait that
    /// a paused worker had begun may still be served there.
    pub(crate) overdue: u64,
    /// How long until the next delayed job is due.
    pub(crate) due_in: Option<Duration>,
    /// Others whose heartbeat is late while ours is not.
    pub(crate) silent: u64,
    /// Whether the server sees the subscription of this process.
    pub(crate) seen: bool,
}

/// Renews a lease, and promises the next heartbeat if others may rely on it.
pub(crate) async fn beat(
    redis: &Redis,
    keys: &Keys,
    session: &Session,
    promise: Option<Duration>,
    young: Duration,
) -> Result<Beat, Error> {
    let args = Args::new()
        .int(redis.clock().micros_arg())
        .bytes(session.incarnation())
        .millis(session.lease())
        .int(promise.map_or(0, millis))
        .millis(young);
    let alive = keys.alive(session.incarnation());
    let keys = [&keys.leases, session.processing(), &keys.delayed, &keys.beats, &keys.graves, &alive];
    let (renewed, held, overdue, due_in, silent, seen): (bool, u64, u64, i64, u64, u64) =
        redis.run(&BEAT, &keys, &args).await?;
    Ok(Beat { renewed, held, overdue, due_in: span(due_in), silent, seen: seen > 0 })
}

/// Takes up to `count` jobs, or `None` if the lease is over.
pub(crate) async fn take(
    line: &Dedicated,
    redis: &Redis,
    keys: &Keys,
    session: &Session,
    count: usize,
) -> Result<Option<Vec<Bytes>>, Error> {
    let count = i64::try_from(count.clamp(1, BATCH)).unwrap_or(1);
    let args = Args::new().int(redis.clock().micros_arg()).bytes(session.incarnation()).int(count);
    let keys = [&keys.leases, &keys.pending, session.processing()];
    let (granted, _, jobs): (bool, u64, Vec<Bytes>) = line.run(&TAKE, &keys, &args).await?;
    Ok(granted.then_some(jobs))
}

/// `BLMOVE pending processing RIGHT LEFT`: the next job, waited for.
pub(crate) async fn wait(
    line: &Dedicated,
    keys: &Keys,
    session: &Session,
    block: Duration,
) -> Result<Option<Bytes>, Error> {
    let seconds = format!("{:.3}", block.as_secs_f64());
    let args = Args::new().word("RIGHT").word("LEFT").bytes(seconds);
    line.blocking("BLMOVE", &[&keys.pending, session.processing()], &args, block).await
}

/// `LRANGE processing 0 -1`: what the server says this incarnation holds, newest first.
pub(crate) async fn held(line: &Dedicated, session: &Session) -> Result<Vec<Bytes>, Error> {
    line.command("LRANGE", &[session.processing()], &Args::new().int(0).int(-1)).await
}

/// What the server says of an attempt to settle a job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Removal {
    /// Whether the incarnation still has its lease entry.
    pub(crate) registered: bool,
    /// Whether the job was in its list, and so was moved or removed now.
    pub(crate) removed: bool,
}

/// Removes jobs that are done; one answer per job.
pub(crate) async fn ack(
    redis: &Redis,
    keys: &Keys,
    session: &Session,
    jobs: &[Bytes],
) -> Result<Vec<Removal>, Error> {
    let args = jobs.iter().cloned().fold(Args::new().bytes(session.incarnation()), Args::shared);
    let (registered, removed): (bool, Vec<bool>) =
        redis.run(&ACK, &[&keys.leases, session.processing()], &args).await?;
    if removed.len() != jobs.len() {
        return Err(Error::reply("queue/ack", "the reply names another number of jobs"));
    }
    Ok(removed.into_iter().map(|removed| Removal { registered, removed }).collect())
}

/// Puts a job back to the front as `back`.
pub(crate) async fn release(
    redis: &Redis,
    keys: &Keys,
    session: &Session,
    held: Bytes,
    back: Bytes,
) -> Result<Removal, Error> {
    let args = Args::new().bytes(session.incarnation()).shared(held).shared(back);
    let keys = [&keys.leases, session.processing(), &keys.pending];
    let (registered, removed) = redis.run(&RELEASE, &keys, &args).await?;
    Ok(Removal { registered, removed })
}

/// Puts a job among the delayed ones as `job`.
pub(crate) async fn retry(
    redis: &Redis,
    keys: &Keys,
    session: &Session,
    held: Bytes,
    job: Bytes,
    delay: Duration,
) -> Result<Removal, Error> {
    let args = Args::new()
        .int(redis.clock().micros_arg())
        .bytes(session.incarnation())
        .shared(held)
        .shared(job)
        .millis(delay);
    let keys = [&keys.leases, session.processing(), &keys.delayed];
    let (registered, removed) = redis.run(&RETRY, &keys, &args).await?;
    Ok(Removal { registered, removed })
}

/// Milliseconds from a script, where -1 stands for "never".
fn span(millis: i64) -> Option<Duration> {
    u64::try_from(millis).ok().map(Duration::from_millis)
}

/// Moves a job to the dead letters as `job`.
pub(crate) async fn bury(
    redis: &Redis,
    keys: &Keys,
    session: &Session,
    dead: &Dead,
    max_dead: u64,
) -> Result<Removal, Error> {
    let fits = |&end: &usize| dead.why.is_char_boundary(end);
    let why = (0..=dead.why.len().min(LONGEST_WHY)).rev().find(fits).unwrap_or(0);
    let args = Args::new()
        .bytes(session.incarnation())
        .shared(dead.held.clone())
        .shared(dead.job.clone())
        .bytes(&dead.why[..why])
        .int(number(max_dead));
    let keys = [&keys.leases, session.processing(), &keys.dead];
    let (registered, removed) = redis.run(&BURY, &keys, &args).await?;
    Ok(Removal { registered, removed })
}

/// A job on its way to the dead letters.
#[derive(Debug)]
pub(crate) struct Dead {
    /// The element exactly as it was taken.
    pub(crate) held: Bytes,
    /// The same with its counters moved on.
    pub(crate) job: Bytes,
    pub(crate) why: String,
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Where jobs may be waiting for nobody.
#[derive(Debug)]
pub(crate) struct Overdue {
    /// Incarnations whose lease is over.
    pub(crate) leases: Vec<String>,
    /// Incarnations that ended a short while ago.
    pub(crate) young_graves: Vec<String>,
    /// Incarnations that ended the longest ago.
    pub(crate) old_graves: Vec<String>,
    /// Incarnations whose heartbeat is late.
    pub(crate) silent: Vec<String>,
}

/// Names where jobs may be waiting for nobody.
pub(crate) async fn overdue(redis: &Redis, keys: &Keys, look_back: Duration) -> Result<Overdue, Error> {
    let args = Args::new().int(redis.clock().micros_arg()).int(millis(look_back)).int(NAMES);
    let keys = [&keys.leases, &keys.graves, &keys.beats];
    let (leases, young_graves, old_graves, silent) = redis.run(&OVERDUE, &keys, &args).await?;
    Ok(Overdue { leases, young_graves, old_graves, silent })
}

/// Why a lease is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It is over by the server's time; counted as a loss.
    Lost,
    /// Its owner gave it up, and jobs may have been started.
    Fenced,
    /// Its owner leaves, and no job was started.
    Left,
    /// Its heartbeat is late and its connection closed; counted as a loss.
    Gone,
}

impl End {
    fn code(self) -> i64 {
        match self {
            Self::Lost => 1,
            Self::Fenced => 2,
            Self::Left => 3,
            Self::Gone => 4,
        }
    }
}

/// What one step of a reap did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReapStep {
    /// Whether the lease is ended now; it is not if it was not over.
    pub(crate) ended: bool,
    pub(crate) returned: u64,
    pub(crate) left: u64,
    /// Jobs that were lost with too many workers and went to the dead letters.
    pub(crate) buried: u64,
}

/// What bounds the return of jobs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max_losses: u16,
    pub(crate) max_dead: u64,
}

/// Ends a lease and returns a bounded number of jobs.
pub(crate) async fn reap(
    redis: &Redis,
    keys: &Keys,
    incarnation: &str,
    end: End,
    limits: Limits,
) -> Result<ReapStep, Error> {
    let (processing, alive) = (keys.processing(incarnation), keys.alive(incarnation));
    let args = Args::new()
        .int(redis.clock().micros_arg())
        .bytes(incarnation)
        .int(end.code())
        .int(MOVE_BATCH)
        .millis(GRAVE)
        .int(limits.max_losses.into())
        .int(number(limits.max_dead));
    let keys = [&keys.leases, &keys.graves, &processing, &keys.pending, &keys.dead, &keys.beats, &alive];
    let (ended, returned, left, buried) = redis.run(&REAP, &keys, &args).await?;
    Ok(ReapStep { ended, returned, left, buried })
}
