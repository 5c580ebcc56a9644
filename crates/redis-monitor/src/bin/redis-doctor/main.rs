//! `redis-doctor`: is this Redis fit for the patterns?

#![allow(unreachable_pub, reason = "a program has no public items")]

mod args;
mod check;
mod export;
mod history;
mod serve;
mod watch;

use args::{Acting, Command, HELP, Target};
use redis_monitor::{Doctor, Error};
use serve::{Access, Secret, Settings};
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
        Command::Help => print!("{HELP}"),
        Command::Check { target, output } => {
            let mut doctor = connect(&target).await?;
            let report = doctor.examine().await;
            doctor.close().await;
            return check::print(&report, output);
        }
        Command::Watch { target, every, frames } => {
            let doctor = connect(&target).await?;
            watch::run(doctor, every, frames).await?;
        }
        Command::Export { target, listen } => {
            let doctor = connect(&target).await?;
            let served = export::serve(doctor, listen).await;
            served.map_err(|error| format!("cannot serve on {listen}: {error}"))?;
        }
        Command::Serve { target, listen, every, names, acting } => {
            let settings = Settings { listen, every, names, access: access(acting)? };
            let doctor = connect(&target).await?;
            let served = serve::serve(doctor, target.redis(), settings).await;
            served.map_err(|error| format!("cannot serve on {listen}: {error}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn connect(target: &Target) -> Result<Doctor, String> {
    Doctor::connect(&target.url, target.options.clone()).await.map_err(|error: Error| error.to_string())
}

fn access(acting: Acting) -> Result<Access, String> {
    if acting == Acting::No {
        return Ok(Access::ReadOnly);
    }
    let secret = match std::env::var("REDIS_DOCTOR_TOKEN") {
        Ok(token) => Secret::chosen(token)?,
        Err(_) => Secret::made_up().map_err(|error| error.to_string())?,
    };
    Ok(Access::Actions(secret))
}

/// Text from Redis as a terminal may show it: a name may hold anything, and must not be obeyed.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

fn unknown(why: &str) -> ExitCode {
    eprintln!("redis-doctor: {why}");
    ExitCode::from(UNKNOWN)
}
