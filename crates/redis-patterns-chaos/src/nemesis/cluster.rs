//! Faults of a cluster: F10, F11, F13.

use super::Done;
use crate::servers::{Servers, ask};
use crate::stage::Stage;
use redis_patterns_testkit::faults::redis::{SlotMove, slot_of};
use redis_patterns_testkit::servers::{Cluster, Error};
use std::io;
use std::time::{Duration, Instant};

/// A slot of each primary.
const SLOTS: [u16; 3] = [100, 6_000, 12_000];

fn slot(stage: &mut Stage) -> u16 {
    SLOTS[stage.dice.usize(..SLOTS.len())]
}

/// Does something with the cluster that blocks.
async fn with<T: Send + 'static>(
    stage: &Stage,
    work: impl FnOnce(&Cluster) -> Result<T, Error> + Send + 'static,
) -> io::Result<T> {
    let Servers::Cluster(cluster) = &stage.servers else {
        return Err(io::Error::other("this fault needs a cluster"));
    };
    let cluster = cluster.clone();
    tokio::task::spawn_blocking(move || work(&cluster))
        .await
        .map_err(io::Error::other)?
        .map_err(io::Error::other)
}

/// Kills a primary. Every second time its replica stood still before, so that what was acknowledged
/// meanwhile is lost for certain.
pub(super) async fn kill_primary(stage: &mut Stage, number: u64, done: &mut Done) -> io::Result<u64> {
    let (slot, lags) = (slot(stage), number.is_multiple_of(2));
    let call = stage.history.invoke(0, "fault", "F10 kill -9 of a primary");
    let away = with(stage, move |cluster| {
        let (old, replica) = (cluster.primary_of(slot)?, cluster.replica_of(slot)?);
        if lags {
            replica.stop()?;
            std::thread::sleep(Duration::from_millis(200));
        }
        old.kill()?;
        let killed = Instant::now();
        if lags {
            replica.cont()?;
        }
        cluster.wait_new_primary(slot, old)?;
        let away = killed.elapsed();
        old.restart()?;
        cluster.wait_healthy()?;
        Ok(away)
    })
    .await?;
    call.ok("");
    note_away(done, away);
    Ok(1)
}

/// A primary stands still until its replica took over; then it wakes and answers what waited.
pub(super) async fn stop_primary(stage: &mut Stage, done: &mut Done) -> io::Result<u64> {
    let slot = slot(stage);
    let call = stage.history.invoke(0, "fault", "F11 a primary stands still");
    let away = with(stage, move |cluster| {
        let old = cluster.primary_of(slot)?;
        old.stop()?;
        let stopped = Instant::now();
        let taken = cluster.wait_new_primary(slot, old).map(drop);
        old.cont()?;
        taken?;
        let away = stopped.elapsed();
        cluster.wait_healthy()?;
        Ok(away)
    })
    .await?;
    call.ok("");
    note_away(done, away);
    Ok(1)
}

fn note_away(done: &mut Done, away: Duration) {
    done.away_ms = done.away_ms.max(u64::try_from(away.as_millis()).unwrap_or(u64::MAX));
}

/// Moves a slot that is in use, and holds it half moved for a while.
pub(super) async fn move_slot(stage: &mut Stage) -> io::Result<u64> {
    let primaries = stage.servers.primaries().await?;
    let from = stage.dice.usize(..primaries.len());
    let (from, to) = (&primaries[from], &primaries[(from + 1) % primaries.len()]);
    let key = ask(from, &["RANDOMKEY"]).await?.text();
    if key.is_empty() {
        return Ok(0);
    }
    let slot = slot_of(from, key.as_bytes()).await?;
    let hold = Duration::from_millis(stage.dice.u64(100..500));
    let call = stage.history.invoke(0, "fault", &format!("F13 slot {slot}"));
    let mut moving = SlotMove::begin(slot, from, to).await?;
    moving.move_keys(1).await?;
    tokio::time::sleep(hold).await;
    moving.finish(&primaries).await?;
    call.ok("");
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(0)
}
