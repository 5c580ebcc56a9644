//! Does the faults. Each strike is recorded, and answers how much it moved the count that shows that
//! it happened.

mod cluster;
mod server;
mod wire;

use crate::fault::Fault;
use crate::stage::Stage;
use std::io;
use std::time::{Duration, Instant};

/// What a nemesis did.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) strikes: u64,
    /// The count that moves only if the fault happened.
    pub(crate) evidence: u64,
    /// How long the servers were away, the longest.
    pub(crate) away_ms: u64,
}

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dose {
    pub(crate) time: Duration,
    pub(crate) rounds: u64,
}

/// Strikes until the time is over, or, where one strike takes seconds, so many times.
pub(crate) async fn run(stage: &mut Stage, fault: Fault, dose: Dose) -> io::Result<Done> {
    let (begun, mut done) = (Instant::now(), Done::default());
    let before = counted(stage, fault).await;
    let long = matches!(fault.0, 9..=12 | 20);
    while if long { done.strikes < dose.rounds } else { begun.elapsed() < dose.time } {
        let moved = Box::pin(strike(stage, fault, &mut done)).await?;
        done.strikes += 1;
        done.evidence += moved;
    }
    done.evidence += counted(stage, fault).await.saturating_sub(before);
    Ok(done)
}

/// The servers' own count of what a fault makes them say.
async fn counted(stage: &Stage, fault: Fault) -> u64 {
    let servers = &stage.servers;
    match fault.0 {
        6 => servers.errors("NOSCRIPT").await,
        14 => servers.errors("OOM").await,
        15 => servers.errors("MISCONF").await,
        13 => servers.errors("MOVED").await + servers.errors("ASK").await + servers.errors("TRYAGAIN").await,
        _ => 0,
    }
}

async fn strike(stage: &mut Stage, fault: Fault, done: &mut Done) -> io::Result<u64> {
    let number = done.strikes;
    match fault.0 {
        1 => worker(stage).await,
        2 => paused(stage).await,
        3 => wire::lose(stage).await,
        4 => wire::tear(stage, number).await,
        6 => server::forget_scripts(stage).await,
        7 => server::kill_clients(stage, number).await,
        8 => server::restart(stage).await,
        9 => server::power_loss(stage).await,
        10 => cluster::kill_primary(stage, number, done).await,
        11 => cluster::stop_primary(stage, done).await,
        12 if number.is_multiple_of(2) => cluster::kill_primary(stage, number, done).await,
        12 => cluster::stop_primary(stage, done).await,
        13 => cluster::move_slot(stage).await,
        14 => server::fill(stage).await,
        15 => server::fail_disk(stage).await,
        16 | 17 => clock(stage, number).await,
        19 => server::stand_still(stage).await,
        20 => mixed(stage, done).await,
        // Nothing, or what the workers do to themselves.
        _ => rest(Duration::from_millis(200)).await,
    }
}

async fn rest(time: Duration) -> io::Result<u64> {
    tokio::time::sleep(time).await;
    Ok(1)
}

async fn worker(stage: &mut Stage) -> io::Result<u64> {
    stage.kill_worker().await?;
    rest(Duration::from_millis(250)).await
}

async fn paused(stage: &mut Stage) -> io::Result<u64> {
    let time = Duration::from_millis(stage.dice.u64(2_100..2_600));
    stage.stop_worker(time).await?;
    rest(Duration::from_millis(300)).await
}

async fn clock(stage: &mut Stage, number: u64) -> io::Result<u64> {
    let Some(clock) = &stage.clock else { return Ok(0) };
    const JUMPS: [i64; 6] = [3_600, 0, -3_600, 600, -600, 120];
    let jump = JUMPS[usize::try_from(number).unwrap_or_default() % JUMPS.len()];
    let call = stage.history.invoke(0, "fault", &format!("clock {jump}"));
    clock.set(jump)?;
    tokio::time::sleep(Duration::from_millis(400)).await;
    call.ok("");
    Ok(1)
}

async fn mixed(stage: &mut Stage, done: &mut Done) -> io::Result<u64> {
    match stage.dice.u8(..6) {
        0 => worker(stage).await,
        1 => server::forget_scripts(stage).await.map(|_| 1),
        2 => server::kill_clients(stage, 0).await,
        3 => cluster::kill_primary(stage, done.strikes, done).await,
        _ => cluster::move_slot(stage).await,
    }
}
