//! The showcase: a service of orders on all five crates, and a driver that plays users against it
//! and breaks things. README.md says what each act shows.

mod args;
mod child;
mod driver;
mod holder;
mod report;
mod run;
mod serve;
mod service;
mod settings;
mod stage;
mod stock;
mod sweeper;
mod worker;

use args::Task;
use std::process::ExitCode;

/// Whatever ends a task early, to be told in one line.
pub(crate) type Fallible<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    let task = match args::parse(std::env::args_os()) {
        Ok(task) => task,
        Err(text) => {
            eprintln!("showcase: {text}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = match task {
        Task::Help => {
            print!("{}", args::HELP);
            Ok(ExitCode::SUCCESS)
        }
        Task::Demo { url } => driver::run(&url).await,
        Task::Serve { url } => serve::run(&url).await,
        Task::Worker(habit) => worker::run(habit).await,
        Task::Holder => holder::run().await,
        Task::Sweeper => sweeper::run(),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("showcase: {error}");
        ExitCode::FAILURE
    })
}
