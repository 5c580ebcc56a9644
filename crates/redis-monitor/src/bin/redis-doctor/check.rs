//! The report of one examination, for a person or a machine.

use crate::plain;
use redis_monitor::{Finding, Report, Severity};
use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;

/// Who reads the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Person,
    Machine,
}

/// Prints the report; the exit status follows from its worst finding.
pub(crate) fn print(report: &Report, output: Output) -> Result<ExitCode, String> {
    let text = match output {
        Output::Machine => {
            let mut text = serde_json::to_string_pretty(report).map_err(|error| error.to_string())?;
            text.push('\n');
            text
        }
        Output::Person => page(report, Paint::of_this_terminal()),
    };
    let written = std::io::stdout().write_all(text.as_bytes());
    written.map_err(|error| format!("cannot write the report: {error}"))?;
    Ok(match report.worst() {
        None | Some(Severity::Note) => ExitCode::SUCCESS,
        Some(Severity::Warning) => ExitCode::from(1),
        Some(_) => ExitCode::from(2),
    })
}

/// Whether words are coloured.
#[derive(Clone, Copy)]
enum Paint {
    Coloured,
    Plain,
}

impl Paint {
    fn of_this_terminal() -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        if wanted && std::io::stdout().is_terminal() { Self::Coloured } else { Self::Plain }
    }

    fn word(self, colour: u8, word: &str) -> String {
        match self {
            Self::Coloured => format!("\x1b[1;{colour}m{word}\x1b[0m"),
            Self::Plain => word.to_owned(),
        }
    }
}

fn page(report: &Report, paint: Paint) -> String {
    let mut page = String::new();
    for server in &report.servers {
        let role = if server.role == "slave" { "replica" } else { "primary" };
        let what = if server.up { format!("{role}, {}", server.version) } else { "no answer".into() };
        let _ = writeln!(page, "{}  {what}{}", server.address, memory(&server.vitals));
    }
    let _ = writeln!(page);
    for finding in &report.findings {
        page.push_str(&paragraph(finding, paint));
    }
    if report.findings.is_empty() {
        let _ = writeln!(page, "{}  nothing to report\n", paint.word(32, "well    "));
    }
    patterns(&mut page, report);
    let _ =
        writeln!(page, "{} commands sent in {:.1} s", report.cost.commands, report.cost.took.as_secs_f64());
    page
}

fn memory(vitals: &std::collections::BTreeMap<&'static str, f64>) -> String {
    let of = |name: &str| vitals.get(name).copied();
    let (Some(used), Some(clients)) = (of("memory_used_bytes"), of("connected_clients")) else {
        return String::new();
    };
    format!(", {:.1} MB used, {clients:.0} connections", used / 1e6)
}

fn paragraph(finding: &Finding, paint: Paint) -> String {
    let word = match finding.severity {
        Severity::Note => paint.word(36, "note    "),
        Severity::Warning => paint.word(33, "warning "),
        _ => paint.word(31, "critical"),
    };
    let Finding { signal, server, measured, advice, .. } = finding;
    let (server, measured) = (plain(server), plain(measured));
    format!("{word}  {signal} on {server}\n          {measured}\n          {advice}\n\n")
}

fn patterns(page: &mut String, report: &Report) {
    for queue in &report.queues {
        let oldest = queue.oldest_s.map_or(String::new(), |age| format!(", the oldest {age} s"));
        let _ = writeln!(
            page,
            "queue {}: {} waiting{oldest}, {} delayed, {} dead, {} workers",
            plain(&queue.name),
            queue.pending,
            queue.delayed,
            queue.dead,
            queue.workers
        );
    }
    for lock in &report.locks {
        let holder = lock.label.as_deref().map_or(String::new(), |label| format!(" by {}", plain(label)));
        let _ = writeln!(
            page,
            "lock {}: held{holder} for {} s, {} s left, {} waiting",
            plain(&lock.name),
            lock.held_s,
            lock.lease_left_s,
            lock.waiting
        );
    }
    for counted in &report.keys {
        let about = if counted.estimated > counted.sampled { "about " } else { "" };
        let _ = writeln!(page, "{about}{} {}", counted.estimated, counted.kind);
    }
    if !(report.queues.is_empty() && report.keys.is_empty()) {
        page.push('\n');
    }
}
