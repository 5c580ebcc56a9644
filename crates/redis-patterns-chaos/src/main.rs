//! Breaks servers, connections and processes under the five patterns, and judges what they did.
//!
//! `cargo xtask chaos` runs it. The supervisor is never killed; workers are this program again.

mod args;
mod cell;
mod check;
mod client;
mod clock;
mod controls;
mod docs;
mod fault;
mod nemesis;
mod oracle;
mod orders;
mod pattern;
mod report;
mod ring;
mod servers;
mod stage;
mod supervisor;
mod work;

use std::error::Error;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut argv = std::env::args().skip(1);
    let first = argv.next();
    let done = if first.as_deref() == Some(stage::WORKER) {
        work::main(&argv.next().unwrap_or_default())
            .map(|()| ExitCode::SUCCESS)
            .map_err(|error| -> Box<dyn Error> { error })
    } else {
        args::parse(first.into_iter().chain(argv))
            .and_then(|asked| asked.map_or(Ok(ExitCode::SUCCESS), supervisor::run))
    };
    done.unwrap_or_else(|error: Box<dyn Error>| {
        eprintln!("chaos: {error}");
        ExitCode::from(2)
    })
}
