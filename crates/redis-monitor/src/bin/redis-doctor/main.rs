//! `redis-doctor`: is this Redis fit for the patterns?

#![allow(unreachable_pub, reason = "a program has no public items")]

mod args;
mod check;
mod export;

use args::{Command, HELP};
use redis_monitor::{Doctor, Error};
use std::process::ExitCode;

/// As monitoring plugins have it: 0 well, 1 warning, 2 critical, 3 unknown.
const UNKNOWN: u8 = 3;

#[tokio::main]
async fn main() -> ExitCode {
    let command = match args::parse(lexopt::Parser::from_env()) {
        Ok(command) => command,
        Err(error) => return unknown(&format!("{error}; redis-doctor --help lists the options")),
    };
    match run(command).await {
        Ok(code) => code,
        Err(why) => unknown(&why),
    }
}

async fn run(command: Command) -> Result<ExitCode, String> {
    match command {
        Command::Help => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        Command::Check { url, options, output } => {
            let mut doctor = Doctor::connect(&url, options).await.map_err(|e: Error| e.to_string())?;
            let report = doctor.examine().await;
            doctor.close().await;
            check::print(&report, output)
        }
        Command::Export { url, options, listen } => {
            let doctor = Doctor::connect(&url, options).await.map_err(|e: Error| e.to_string())?;
            export::serve(doctor, listen)
                .await
                .map_err(|error| format!("cannot serve on {listen}: {error}"))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn unknown(why: &str) -> ExitCode {
    eprintln!("redis-doctor: {why}");
    ExitCode::from(UNKNOWN)
}
