//! Starts servers, says where they are, and holds them until it is killed.
//!
//! `hold_servers standalone|cluster|postgres [native|compose|auto] [SERVER]`

use std::io::{Read, Write};

use redis_patterns_testkit::servers::{self, Backend, Error, Postgres, ServerChoice};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let word =
        |index: usize, default: &'static str| words.get(index).map_or(default, String::as_str).to_owned();
    let backend: Backend = word(1, "auto").parse()?;
    if word(0, "standalone") == "postgres" {
        let postgres = Postgres::start_with(backend)?;
        return hold(postgres.url(), postgres.describe());
    }
    let choice: ServerChoice = word(2, "auto").parse()?;
    let topology = word(0, "standalone").parse()?;
    let running = servers::start(topology, &choice, backend).inspect_err(print)?;
    hold(running.url(), running.describe())
}

fn print(error: &Error) {
    eprintln!("{error}");
}

/// Ends at the end of its standard input, or when it is killed.
fn hold(url: &str, description: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout();
    writeln!(out, "{url}\n{description}")?;
    out.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
