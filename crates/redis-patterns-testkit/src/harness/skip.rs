//! Tests that do not run say so.

use std::fs::OpenOptions;
use std::io::Write;

/// Records that a test did not run: on standard error, and as a line in the file that
/// `REDIS_PATTERNS_SKIP_LOG` names, from which `cargo xtask test` reads what was skipped.
///
/// # Panics
///
/// If that file cannot be written: a skip that nobody sees would be a silent pass.
pub fn skip(test: &str, reason: &str) {
    eprintln!("skipped {test}: {reason}");
    let Some(path) = std::env::var_os("REDIS_PATTERNS_SKIP_LOG") else { return };
    // One write per line, so that lines of several test processes do not mix.
    let line = format!("{test}\t{}\n", reason.replace(['\n', '\t'], " "));
    let wrote = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    assert!(wrote.is_ok(), "cannot write REDIS_PATTERNS_SKIP_LOG {}: {wrote:?}", path.display());
}
