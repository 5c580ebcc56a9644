//! Runs the cells in two lanes, prints a line for each, and says what it all came to.

use crate::args::Args;
use crate::cell::Run;
use crate::docs;
use crate::nemesis::Dose;
use crate::report::{Report, Verdict};
use crate::ring::{Cell, Ring};
use crate::servers::Servers;
use redis_patterns_testkit::servers::Topology;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Cells that run at the same time; those of clusters one by one.
const LANES: usize = 2;
/// What a cell takes besides its faults.
const AROUND: Duration = Duration::from_secs(4);

/// What is written to `report.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Written {
    pub(crate) ring: String,
    pub(crate) seed: u64,
    pub(crate) seconds: u64,
    pub(crate) cells: Vec<Report>,
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    if args.write_docs {
        return docs::write(&args.out).map(|()| ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(LANES).enable_all().build()?;
    let done = runtime.block_on(async {
        tokio::select! {
            done = all(args) => done,
            // Everything that was started is guarded by a process of its own, and ends with us.
            _ = tokio::signal::ctrl_c() => {
                println!("stopped; servers and workers end with this");
                Ok(ExitCode::from(130))
            }
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

fn cells(args: &Args) -> Vec<Cell> {
    let mut cells = if args.only_controls { Vec::new() } else { args.asked.cells(args.ring) };
    if args.only_controls || (args.ring >= Ring::Merge && args.asked.faults.is_empty()) {
        cells.extend(args.asked.controls());
    }
    cells
}

fn dose(args: &Args, cells: usize) -> Dose {
    let dose = args.ring.dose();
    let Some(time) = args.time else { return dose };
    let each = (time * LANES as u32 / cells.max(1) as u32).saturating_sub(AROUND + args.ring.warm());
    // A failover and what follows takes about eight seconds.
    Dose { time: each.max(Duration::from_secs(1)), rounds: (each.as_secs() / 8).max(1) }
}

async fn all(args: Args) -> Result<ExitCode, Box<dyn Error>> {
    let cells = cells(&args);
    println!(
        "seed {} | ring {} | {} cells | repeat: cargo xtask chaos --ring {} --seed {}",
        args.seed,
        args.ring.name(),
        cells.len(),
        args.ring.name(),
        args.seed
    );
    let begun = Instant::now();
    let run =
        Run { ring: args.ring, dose: dose(&args, cells.len()), seed: args.seed, dir: args.out.join("cells") };
    let (all, reports) = (cells.len(), lanes(run, cells).await?);
    let seconds = begun.elapsed().as_secs();
    let written = Written { ring: args.ring.name().to_owned(), seed: args.seed, seconds, cells: reports };
    std::fs::create_dir_all(&args.out)?;
    let path = args.out.join("report.json");
    std::fs::write(&path, serde_json::to_string_pretty(&written)? + "\n")?;
    println!("{} of {all} cells in {seconds} s; {}", written.cells.len(), path.display());
    Ok(summary(&written.cells))
}

async fn lanes(run: Run, cells: Vec<Cell>) -> Result<Vec<Report>, Box<dyn Error>> {
    let total = cells.len();
    let (clusters, singles): (VecDeque<Cell>, VecDeque<Cell>) =
        cells.into_iter().partition(|cell| cell.topology == Topology::Cluster);
    let waiting = Arc::new(Mutex::new((clusters, singles)));
    let reports = Arc::new(Mutex::new(Vec::new()));
    let mut lanes = JoinSet::new();
    for lane in 0..LANES {
        let (run, waiting, reports) = (run.clone(), waiting.clone(), reports.clone());
        lanes.spawn(async move {
            let mut cluster: Option<Servers> = None;
            loop {
                let next = {
                    let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
                    let cluster = if lane == 0 { waiting.0.pop_front() } else { None };
                    cluster.or_else(|| waiting.1.pop_front())
                };
                let Some(cell) = next else { return };
                if cell.topology == Topology::Standalone {
                    cluster = None;
                }
                let report = run.cell(&cell, &mut cluster).await;
                let mut reports = reports.lock().unwrap_or_else(PoisonError::into_inner);
                println!("[{}/{total}] {}", reports.len() + 1, report.line(&cell));
                reports.push(report);
            }
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane?;
    }
    let mut reports = reports.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *reports))
}

/// The last lines, and whether all is well.
fn summary(reports: &[Report]) -> ExitCode {
    let count = |verdict| reports.iter().filter(|report| report.verdict == verdict).count();
    let controls: Vec<&Report> = reports.iter().filter(|report| report.control.is_some()).collect();
    if !controls.is_empty() {
        let mut times: Vec<f64> = controls.iter().map(|report| report.seconds).collect();
        times.sort_by(f64::total_cmp);
        let (caught, median) = (count(Verdict::Caught), times[times.len() / 2]);
        println!("controls caught {caught}/{}, a cell took {median:.1} s in the median", controls.len());
    }
    let bad = [Verdict::Violated, Verdict::NotExercised, Verdict::Unknown, Verdict::Escaped];
    println!(
        "HOLDS {}, HOLDS WITH PUBLISHED LOSS {}, VIOLATED {}, NOT EXERCISED {}, UNKNOWN {}",
        count(Verdict::Holds),
        count(Verdict::Loss),
        count(Verdict::Violated),
        count(Verdict::NotExercised),
        count(Verdict::Unknown),
    );
    match bad.iter().any(|verdict| count(*verdict) > 0) {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}
