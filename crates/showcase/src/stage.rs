//! Everything that a run starts, and the end of it.

use crate::Fallible;
use crate::run::Run;
use crate::service::Service;
use crate::settings::{PATIENCE, WORKERS};
use crate::stock::Stock;
use crate::sweeper::TIDY;
use crate::worker::Habit;
use redis_patterns_core::Redis;
use redis_patterns_testkit::faults::process::Worker;
use std::future::Future;
use std::io::Write;
use std::process::{Child, Stdio};
use std::time::Duration;
use tokio::time::Instant;

/// The service and its workers.
pub(crate) struct Stage {
    pub(crate) run: Run,
    pub(crate) redis: Redis,
    pub(crate) stock: Stock,
    pub(crate) service: Service,
    pub(crate) workers: Vec<Worker>,
    habit: Habit,
    sweeper: Child,
}

impl Stage {
    /// Connects first: where no server is, nothing is started.
    pub(crate) async fn set(url: &str, habit: Habit) -> Fallible<Self> {
        let run = Run::new(url)?;
        let redis = run.connect().await?;
        let sweeper = start_sweeper(&run)?;
        run.make_folder()?;
        let stock = Stock::create(&run.database())?;
        let service = Service::start(&redis, stock.clone()).await?;
        let mut stage = Self { run, redis, stock, service, workers: Vec::new(), habit, sweeper };
        for _ in 0..WORKERS {
            stage.start_worker().await?;
        }
        Ok(stage)
    }

    /// One more worker process, ready to work.
    pub(crate) async fn start_worker(&mut self) -> Fallible<()> {
        let mut command = self.run.command("worker")?;
        if self.habit == Habit::Stalling {
            command.arg("--stall");
        }
        let mut worker = Worker::spawn(command)?;
        worker.next_line(PATIENCE).await?;
        self.workers.push(worker);
        Ok(())
    }

    /// The process ids of the workers.
    pub(crate) fn pids(&self) -> String {
        let pids = self.workers.iter().map(|worker| worker.pid().to_string());
        pids.collect::<Vec<_>>().join(" and ")
    }

    /// Waits until one of the workers says this line, and takes it out of the crew.
    pub(crate) async fn worker_that_says(&mut self, line: &str) -> Fallible<Worker> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            for place in 0..self.workers.len() {
                match self.workers[place].next_line(Duration::from_millis(20)).await {
                    Ok(said) if said == line => return Ok(self.workers.remove(place)),
                    Err(error) if error.kind() != std::io::ErrorKind::TimedOut => return Err(error.into()),
                    _ => {}
                }
            }
        }
        Err(format!("no worker said {line:?} within {PATIENCE:?}").into())
    }

    /// Lets the workers finish; answers how many jobs they have done, by their own count.
    pub(crate) async fn stop_workers(&mut self) -> Fallible<u64> {
        let mut done = 0;
        for mut worker in self.workers.drain(..) {
            worker.send_line("stop").await?;
            let said = worker.next_line(PATIENCE).await?;
            done += said.strip_prefix("stopped ").and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
            worker.wait(PATIENCE).await?;
        }
        Ok(done)
    }

    /// Ends everything that still runs, and waits until nothing is left.
    pub(crate) async fn clear(mut self) -> Fallible<()> {
        let workers = self.stop_workers().await;
        let service = self.service.stop().await;
        Box::pin(self.redis.close()).await;
        drop(self.stock);
        if let Some(mut orders) = self.sweeper.stdin.take() {
            // Without its word the sweeper only takes longer.
            let _ = orders.write_all(TIDY.as_bytes());
        }
        tokio::task::spawn_blocking(move || self.sweeper.wait()).await??;
        workers.and(service)
    }
}

fn start_sweeper(run: &Run) -> Fallible<Child> {
    Ok(run.command("sweeper")?.stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?)
}

/// Asks again and again until the answer is yes, for as long as the patience lasts.
pub(crate) async fn until<F, Y>(what: &str, mut ask: F) -> Fallible<()>
where
    F: FnMut() -> Y,
    Y: Future<Output = Fallible<bool>>,
{
    let deadline = Instant::now() + PATIENCE;
    while !ask().await? {
        if Instant::now() >= deadline {
            return Err(format!("{what}: not within {PATIENCE:?}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
