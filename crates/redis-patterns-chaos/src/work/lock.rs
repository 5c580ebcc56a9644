//! Work under a lock on a resource outside Redis.
//!
//! - `acquire` with a name, ok `FENCE UNTIL_NS` or `busy`
//! - `read` and `write` with `NAME FENCE`, ok with the resource's answer
//! - `release` with `NAME FENCE`; `final` with a name, ok once the lock was had again

use super::Ended;
use crate::client::{Client, Context, Phase};
use crate::controls;
use crate::oracle::Line;
use crate::orders::LEASE;
use redis_lock::{Durability, Error, LockGuard, LockOptions, Locks, TryLock};
use redis_patterns_testkit::faults::history::now_ns;
use std::num::NonZeroU32;
use std::time::Duration;

const NAMES: usize = 4;

/// A lock that is held, ours or a control's.
#[derive(Debug)]
enum Held {
    Ours(LockGuard),
    Control(controls::lock::Grant),
}

impl Held {
    fn fence(&self) -> Result<u64, Error> {
        match self {
            Self::Ours(guard) => Ok(guard.fence()?.get()),
            Self::Control(grant) => Ok(grant.fence),
        }
    }

    fn until_ns(&self) -> u64 {
        let left = match self {
            Self::Ours(guard) => guard.time_left(),
            Self::Control(grant) => return grant.until_ns,
        };
        now_ns() + u64::try_from(left.as_nanos()).unwrap_or(u64::MAX)
    }
}

fn locks(ctx: &Context) -> Result<Locks, Error> {
    let mut options = LockOptions::new().lease(LEASE)?;
    if ctx.orders.replicas {
        options = options.durability(Durability::Replicas(NonZeroU32::MIN));
    }
    Ok(Locks::new(ctx.redis.clone(), options))
}

pub(super) async fn run(ctx: Context, mut client: Client) -> Ended {
    let locks = locks(&ctx)?;
    let mut oracle = Line::to(&ctx.orders.oracle).await?;
    while ctx.until(Phase::Work) {
        let name = format!("n{}", client.dice.usize(..NAMES));
        if let Some(held) = acquire(&ctx, &mut client, &locks, &name).await {
            let Ok(fence) = held.fence() else { continue };
            under_lock(&mut client, &mut oracle, &name, fence, &held).await?;
            release(&mut client, &name, fence, held).await;
        }
        client.breathe().await;
    }
    locks.close().await;
    Ok(())
}

async fn acquire(ctx: &Context, client: &mut Client, locks: &Locks, name: &str) -> Option<Held> {
    let (id, waits) = (ctx.id(name), client.dice.bool());
    let work = async {
        if let Some(control) = ctx.orders.control {
            let grant = controls::lock::acquire(ctx, control, name).await?;
            return Ok(grant.map(Held::Control));
        }
        let patience = Duration::from_millis(300);
        let tried = if waits { locks.lock(&id, patience).await? } else { locks.try_lock(&id).await? };
        match tried {
            TryLock::Acquired(guard) => Ok::<_, Error>(Some(Held::Ours(guard))),
            _ => Ok(None),
        }
    };
    let said = |held: &Option<Held>| match held {
        Some(held) => format!("{} {}", held.fence().unwrap_or(0), held.until_ns()),
        None => "busy".to_owned(),
    };
    client.call("acquire", name, work, said).await.flatten()
}

/// Reads, works, writes. A careful holder asks its guard again before it writes, and still may be
/// late; a careless one does not ask, and it is the resource that must refuse.
async fn under_lock(client: &mut Client, oracle: &mut Line, name: &str, fence: u64, held: &Held) -> Ended {
    let value = format!("{name} {fence}");
    let read = oracle.ask(&format!("read {value}")).await?;
    client.note("read", &value);
    let Ok(read) = read.parse::<u64>() else { return Ok(()) };
    tokio::time::sleep(Duration::from_micros(client.dice.u64(..4_000))).await;
    if client.dice.bool() && held.fence().is_err() {
        return Ok(());
    }
    let line = format!("write {value} {read}");
    client.call("write", &value, oracle.ask(&line), String::clone).await;
    Ok(())
}

async fn release(client: &mut Client, name: &str, fence: u64, held: Held) {
    let value = format!("{name} {fence}");
    let work = async {
        match held {
            Held::Ours(guard) => guard.release().await.map(|released| format!("{released:?}")),
            Held::Control(grant) => Ok(grant.release().await.map(|()| "InTime".to_owned())?),
        }
    };
    client.call("release", &value, work, String::clone).await;
}

/// Every lock must be had again: within the lease of a dead holder, and three seconds for the dead that
/// waited before.
pub(super) async fn final_read(ctx: &Context, mut client: Client) -> Ended {
    let locks = locks(ctx)?;
    for number in 0..NAMES {
        let name = format!("n{number}");
        if ctx.orders.control.is_some() {
            continue;
        }
        let work = locks.lock(ctx.id(&name), LEASE + Duration::from_secs(6));
        let said =
            |tried: &TryLock| if matches!(tried, TryLock::Acquired(_)) { "had" } else { "busy" }.to_owned();
        client.call("final", &name, work, said).await;
    }
    locks.close().await;
    Ok(())
}
