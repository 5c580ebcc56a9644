//! Where things of ours lie: everything below the workspace's `target/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Error;

/// The root of the workspace.
pub(super) fn workspace() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// `target/redis-patterns`, or the same below `CARGO_TARGET_DIR`.
pub(super) fn base() -> PathBuf {
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(set) => workspace().join(set),
        None => workspace().join("target"),
    };
    target.join("redis-patterns")
}

/// A name that no other run on this machine uses at this time.
pub(super) fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A new folder for one group of servers.
pub(super) fn run_dir() -> Result<PathBuf, Error> {
    let dir = base().join("run").join(unique());
    // Left by a run with our process id whose guardian was killed too.
    let _ = fs::remove_dir_all(&dir);
    create(&dir)?;
    Ok(dir)
}

/// Makes a folder and its parents.
pub(super) fn create(dir: &Path) -> Result<(), Error> {
    fs::create_dir_all(dir).map_err(|e| Error::io(format!("cannot make {}", dir.display()), e))
}

/// Writes a file.
pub(super) fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(|e| Error::io(format!("cannot write {}", path.display()), e))
}

/// A word for a shell script, whatever is in it.
pub(super) fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_words_survive_the_shell() {
        for word in ["", "a b", "it's", "$HOME `x`", "a\"b\\c"] {
            let out = process::Command::new("sh")
                .args(["-c", &format!("printf %s {}", quoted(word))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(out.stdout).unwrap(), word);
        }
    }
}
