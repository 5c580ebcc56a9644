//! The driver: plays users against the service over real HTTP, breaks things, and looks what came
//! of it. One file per act.

mod audit;
mod browser;
mod burst;
mod double_submit;
mod killed_worker;
mod log_in;
mod log_out;
mod paused_holder;

use crate::Fallible;
use crate::report::{Behind, Report};
use crate::settings::WORKERS;
use crate::stage::Stage;
use crate::worker::Habit;
use browser::Browser;
use std::process::ExitCode;
use std::time::Instant;

/// What every act plays with.
struct Play {
    stage: Stage,
    browser: Browser,
    report: Report,
}

/// Plays all acts; the exit code says whether every expectation was met.
pub(crate) async fn run(url: &str) -> Fallible<ExitCode> {
    let started = Instant::now();
    let stage = Stage::set(url, Habit::Stalling).await?;
    let address = stage.service.address();
    println!("the service listens at http://{address}, {WORKERS} workers are the processes {}", stage.pids());
    println!("the stock is in {}", stage.run.folder().display());
    let mut play = Play { stage, browser: Browser::new(address), report: Report::default() };
    let behind = play.acts().await;
    let Play { stage, browser, mut report } = play;
    if let Err(error) = stage.clear().await {
        report.broke_off(&format!("the end: {error}"));
    }
    Ok(report.close(&browser.answers, behind, started.elapsed().as_secs_f64()))
}

impl Play {
    async fn acts(&mut self) -> Behind {
        self.report.act("1. Log-ins (redis-session)");
        let ann = log_in::play(self).await;
        let ann = self.kept(ann);
        self.report.act("2. A burst (redis-ratelimit)");
        let burst = burst::play(self).await;
        self.kept(burst);
        self.report.act("3. Double submits (redis-idem)");
        let doubles = double_submit::play(self).await;
        self.kept(doubles);
        self.report.act("4. Workers killed in the middle of a job (redis-queue)");
        let killed = killed_worker::play(self).await;
        self.kept(killed);
        self.report.act("5. A lock holder paused past its lease (redis-lock)");
        let paused = paused_holder::play(self).await;
        self.kept(paused);
        self.report.act("6. A log-out (redis-session)");
        if let Some(ann) = ann {
            let out = log_out::play(self, &ann).await;
            self.kept(out);
        }
        self.report.act("The books (SQLite)");
        let behind = audit::play(self).await;
        self.kept(behind).unwrap_or_default()
    }

    /// An act that breaks off fails the run, and the next is played all the same.
    fn kept<T>(&mut self, outcome: Fallible<T>) -> Option<T> {
        outcome.inspect_err(|error| self.report.broke_off(error)).ok()
    }
}
