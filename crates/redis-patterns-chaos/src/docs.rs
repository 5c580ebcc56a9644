//! Puts the counts of the last run into the documentation.

use crate::fault::Fault;
use crate::pattern::Pattern;
use crate::report::{Report, Verdict};
use crate::supervisor::Written;
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const BEGIN: &str = "<!-- chaos: begin, by `cargo xtask chaos --write-docs` -->\n";
const END: &str = "<!-- chaos: end -->";

/// Writes `docs/chaos.md`, and the sums between the marks of `docs/guarantees.md`.
pub(crate) fn write(out: &Path) -> Result<(), Box<dyn Error>> {
    let run: Written = serde_json::from_str(&std::fs::read_to_string(out.join("report.json"))?)?;
    let docs = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs"));
    std::fs::write(docs.join("chaos.md"), every_cell(&run)?)?;
    let page = docs.join("guarantees.md");
    let text = std::fs::read_to_string(&page)?;
    std::fs::write(page, between_marks(&text, &sums(&run)?).ok_or("docs/guarantees.md has no marks")?)?;
    Ok(())
}

fn between_marks(text: &str, new: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{new}{END}{after}"))
}

/// The cells of a pattern without the controls.
fn cells(run: &Written, pattern: Pattern) -> impl Iterator<Item = &Report> {
    let name = pattern.to_string();
    run.cells.iter().filter(move |cell| cell.control.is_none() && cell.pattern == name)
}

fn sums(run: &Written) -> Result<String, Box<dyn Error>> {
    let mut text = format!(
        "The last written run: `cargo xtask chaos --ring {} --seed {}`, {} cells in {} s.\n\n\
         | pattern | cells | calls | faults | hold | hold with published loss | violated | not exercised |\n\
         |---|---|---|---|---|---|---|---|\n",
        run.ring,
        run.seed,
        run.cells.len(),
        run.seconds
    );
    for pattern in Pattern::ALL {
        let of = |verdict| cells(run, pattern).filter(|cell| cell.verdict == verdict).count();
        writeln!(
            text,
            "| {pattern} | {} | {} | {} | {} | {} | {} | {} |",
            cells(run, pattern).count(),
            cells(run, pattern).map(|cell| cell.calls.all).sum::<u64>(),
            cells(run, pattern).filter(|cell| cell.fault != "F0").map(|cell| cell.strikes).sum::<u64>(),
            of(Verdict::Holds),
            of(Verdict::Loss),
            of(Verdict::Violated),
            of(Verdict::NotExercised) + of(Verdict::Unknown),
        )?;
    }
    let controls = run.cells.iter().filter(|cell| cell.control.is_some());
    let caught = controls.clone().filter(|cell| cell.verdict == Verdict::Caught).count();
    writeln!(text, "\nWrong implementations that the checkers caught: {caught} of {}.", controls.count())?;
    Ok(text)
}

fn every_cell(run: &Written) -> Result<String, Box<dyn Error>> {
    let mut text = format!(
        "# Every cell of the chaos suite\n\n\
         Written by `cargo xtask chaos --write-docs` from `cargo xtask chaos --ring {} --seed {}`. What the \
         faults are stands below the table; a fault counts when something shows that it happened.\n\n\
         | pattern | fault | on | calls | lost or failed | faults | met by calls | broken | verdict |\n\
         |---|---|---|---|---|---|---|---|---|\n",
        run.ring, run.seed
    );
    for cell in Pattern::ALL.into_iter().flat_map(|pattern| cells(run, pattern)) {
        let broken: Vec<String> = cell
            .rules
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(rule, count)| format!("{rule} {count}"))
            .collect();
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            cell.pattern,
            cell.fault,
            cell.topology,
            cell.calls.all,
            cell.calls.fail + cell.calls.unknown,
            cell.evidence,
            cell.calls.in_flight,
            broken.join(", "),
            cell.verdict
        )?;
    }
    text += "\n## Faults\n\n";
    for fault in Fault::all() {
        writeln!(text, "- {fault}: {}", fault.what())?;
    }
    text += "\n## Wrong implementations\n\n";
    for control in crate::controls::CONTROLS {
        let cell = run.cells.iter().find(|cell| cell.control == Some(control.number));
        let verdict = cell.map_or_else(|| "not run".to_owned(), |cell| cell.verdict.to_string());
        writeln!(text, "- {} ({}, {}): {verdict}", control.what, control.pattern, control.fault)?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_changes() {
        let text = format!("a\n{BEGIN}old\n{END}\nz\n");
        assert_eq!(between_marks(&text, "new\n"), Some(format!("a\n{BEGIN}new\n{END}\nz\n")));
        assert_eq!(between_marks("no marks", "new"), None);
    }
}
