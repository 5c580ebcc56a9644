//! What a cell sets up: servers, proxy, oracle, worker processes, the history.

use crate::clock::WallClock;
use crate::orders::Orders;
use crate::servers::Servers;
use redis_patterns_testkit::faults::Proxy;
use redis_patterns_testkit::faults::history::History;
use redis_patterns_testkit::faults::process::Worker;
use std::io;
use std::process::Command;
use std::time::Duration;

/// The word that makes this program a worker.
pub(crate) const WORKER: &str = "--worker";
pub(crate) const WORKERS: u64 = 3;
const READY: Duration = Duration::from_secs(60);
/// A worker that is told to stop finishes what it has; a queue's takes its lease at most.
const STOPS: Duration = Duration::from_secs(30);

/// The stage of one cell.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) servers: Servers,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) clock: Option<WallClock>,
    pub(crate) orders: Orders,
    pub(crate) history: History,
    pub(crate) dice: fastrand::Rng,
    workers: Vec<(u64, Worker)>,
    spawned: u64,
    pub(crate) crashed: u64,
}

impl Stage {
    pub(crate) fn new(servers: Servers, orders: Orders, history: History, seed: u64) -> Self {
        let dice = fastrand::Rng::with_seed(seed);
        let (workers, spawned, crashed) = (Vec::new(), 0, 0);
        Self { servers, proxy: None, clock: None, orders, history, dice, workers, spawned, crashed }
    }

    /// Starts the workers, and waits until all are connected.
    pub(crate) async fn people(&mut self) -> io::Result<()> {
        for _ in 0..WORKERS {
            let worker = self.spawn()?;
            self.workers.push(worker);
        }
        for (_, worker) in &mut self.workers {
            worker.next_line(READY).await?;
        }
        Ok(())
    }

    fn spawn(&mut self) -> io::Result<(u64, Worker)> {
        self.spawned += 1;
        let orders = serde_json::to_string(&self.orders.numbered(self.spawned))?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args([WORKER, &orders]);
        if let Some(clock) = &self.clock {
            command.envs(clock.environment());
        }
        Ok((self.spawned, Worker::spawn(command)?))
    }

    /// Kills one worker wherever it is, and starts another.
    pub(crate) async fn kill_worker(&mut self) -> io::Result<()> {
        let victim = self.dice.usize(..self.workers.len());
        let (number, worker) = &mut self.workers[victim];
        let call = self.history.invoke(0, "fault", &format!("F1 worker {number}"));
        worker.kill().await?;
        call.ok("");
        self.workers[victim] = self.spawn()?;
        self.workers[victim].1.next_line(READY).await.map(drop)
    }

    /// Stops one worker wherever it is, and lets it go on later.
    pub(crate) async fn stop_worker(&mut self, time: Duration) -> io::Result<()> {
        let victim = self.dice.usize(..self.workers.len());
        let (number, worker) = &self.workers[victim];
        let call = self.history.invoke(0, "fault", &format!("F2 worker {number}"));
        worker.stop()?;
        tokio::time::sleep(time).await;
        worker.cont()?;
        call.ok("");
        Ok(())
    }

    pub(crate) async fn tell(&mut self, line: &str) {
        for (_, worker) in &mut self.workers {
            // One that is gone is counted at its end.
            let _ = worker.send_line(line).await;
        }
    }

    /// Tells the workers to stop and waits for them; those that end otherwise are counted.
    pub(crate) async fn dismiss(&mut self) {
        self.tell("stop").await;
        for (number, mut worker) in self.workers.drain(..) {
            match worker.wait(STOPS).await {
                Ok(status) if status.success() => {}
                ended => {
                    eprintln!("  worker {number} of {}: {ended:?}", self.orders.namespace);
                    self.crashed += 1;
                }
            }
        }
    }
}
