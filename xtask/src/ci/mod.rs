//! `cargo xtask ci`: everything that must be green, step by step.

mod quiet;
mod steps;

use crate::args::Args;
use crate::failure::Failure;
use crate::progress::Step;
use crate::workspace::Workspace;

use quiet::Broken;

const HELP: &str = "\
cargo xtask ci [--only STEP]... [--skip STEP]...     stops at the first step that fails

  fmt        the text is formatted
  clippy     no lint, in any target and with any feature
  docs       the documentation builds without a warning
  tidy       `cargo xtask tidy`
  licences   the licence and the source of every crate in the tree; cargo-deny too where it is installed
  features   each published crate alone: default, none, all
  light      no crate of the patterns pulls in axum, sqlx, testcontainers or the test kit
  test       `cargo xtask test`
  package    `cargo xtask package`
";

/// A step gives a note for its line, or what broke.
type Work = fn(&Workspace) -> Result<String, Broken>;

const STEPS: [(&str, Work); 9] = [
    ("fmt", steps::fmt),
    ("clippy", steps::clippy),
    ("docs", steps::docs),
    ("tidy", steps::tidy),
    ("licences", steps::licences),
    ("features", steps::features),
    ("light", steps::light),
    ("test", steps::test),
    ("package", steps::package),
];

pub(crate) fn run(args: Args) -> Result<(), Failure> {
    let (mut only, mut skip) = (Vec::new(), Vec::new());
    let go_on = args.parse_all(HELP, |arg, values| {
        match arg {
            "--only" => only.push(known_step(values.text()?)?),
            "--skip" => skip.push(known_step(values.text()?)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if !go_on {
        return Ok(());
    }
    let chosen = choose(&only, &skip);
    let workspace = Workspace::load()?;
    for (number, (name, work)) in (1..).zip(&chosen) {
        let label = format!("[{number}/{}] {name}", chosen.len());
        step(name, label, || work(&workspace))?;
    }
    Ok(())
}

fn known_step(name: String) -> Result<String, Failure> {
    if STEPS.iter().any(|(known, _)| *known == name) {
        return Ok(name);
    }
    let known: Vec<_> = STEPS.iter().map(|(name, _)| *name).collect();
    Err(Failure::usage(format!("no step is called {name:?}; there are {}", known.join(", "))))
}

fn choose(only: &[String], skip: &[String]) -> Vec<(&'static str, Work)> {
    let named = |names: &[String], name: &str| names.iter().any(|named| named == name);
    let wanted = |name: &str| (only.is_empty() || named(only, name)) && !named(skip, name);
    let all = STEPS.into_iter();
    all.filter(|(name, _)| wanted(name)).collect()
}

fn step(name: &str, label: String, work: impl FnOnce() -> Result<String, Broken>) -> Result<(), Failure> {
    let step = Step::begin(label);
    let outcome = work();
    match &outcome {
        Ok(note) => step.end("ok", note),
        Err(_) => step.end("FAILED", ""),
    }
    outcome.map(drop).map_err(|broken| explain(name, &broken))
}

fn explain(name: &str, broken: &Broken) -> Failure {
    eprintln!("{}\n", broken.output.trim_end());
    Failure::task(format!("{name} failed; to see it again: {}", broken.repeat))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_help_names_every_step() {
        for (name, _) in STEPS {
            assert!(HELP.contains(&format!("\n  {name} ")), "{name}");
        }
    }

    #[test]
    fn steps_are_chosen_and_left_out() {
        let names = |only: &[&str], skip: &[&str]| -> Vec<&str> {
            let owned = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
            let chosen = choose(&owned(only), &owned(skip));
            chosen.into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(&[], &[]).len(), STEPS.len());
        assert_eq!(names(&["tidy", "fmt"], &[]), ["fmt", "tidy"]);
        assert!(!names(&[], &["test"]).contains(&"test"));
    }

    #[test]
    fn an_unknown_step_is_wrong_usage() {
        let failure = run(Args::new(["--only", "clipy"].iter())).unwrap_err();
        assert_eq!(failure.code(), 2);
        assert!(failure.to_string().contains("clippy"), "{failure}");
    }

    #[test]
    fn a_failed_step_says_how_to_see_it_again() {
        let failure = explain("docs", &Broken::new("x", "cargo y"));
        assert_eq!(failure.to_string(), "docs failed; to see it again: cargo y");
    }
}
