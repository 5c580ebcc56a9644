//! What cargo remembers of an earlier packaging, and must forget.
//!
//! While cargo verifies, a package of ours takes those it needs from a small registry below the
//! build folder. A registry never changes a version, so cargo keeps what it unpacked and compiled
//! from there: packaged again under the same version, a crate would be compiled against the core of
//! last time. It fails without a reason, or worse, passes without one.

use std::fs;
use std::path::{Path, PathBuf};

use crate::workspace::Workspace;

/// Removes the unpacked sources and the build marks of our packages. Cargo makes them anew.
pub(crate) fn forget_earlier(workspace: &Workspace) {
    for member in workspace.publishable() {
        if let Some(home) = cargo_home() {
            forget_sources(&home.join("registry/src"), &member.name);
        }
        forget_builds(&workspace.target.join("debug/.fingerprint"), &member.name);
    }
}

fn cargo_home() -> Option<PathBuf> {
    let default = || std::env::home_dir().map(|home| home.join(".cargo"));
    std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(default)
}

/// A registry that is a folder has no host, so the folder of its sources starts with the dash that
/// others have after their host.
fn forget_sources(all: &Path, name: &str) {
    let local = folders(all).into_iter().filter(|folder| starts_with(folder, "-"));
    local.for_each(|registry| forget_builds(&registry, name));
}

/// `NAME-1.0.0` or `NAME-HASH`, and not `NAME-SOMETHING-1.0.0`.
fn forget_builds(all: &Path, name: &str) {
    let of_this = |folder: &PathBuf| {
        let rest = folder.file_name().and_then(|file| file.to_str()?.strip_prefix(name)?.strip_prefix('-'));
        rest.is_some_and(|rest| !rest.contains('-'))
    };
    for folder in folders(all).into_iter().filter(of_this) {
        // What cannot be removed is not there, or not ours; cargo then says what it makes of it.
        let _ = fs::remove_dir_all(folder);
    }
}

fn starts_with(folder: &Path, start: &str) -> bool {
    folder.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(start))
}

/// The folders in a folder; none if it is not there.
fn folders(of: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(of).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_ours_and_local_is_forgotten() {
        let all = std::env::temp_dir().join(format!("stale-{}", std::process::id()));
        let made = [
            "-12/redis-lock-0.1.0",
            "-12/redis-lock-x-0.1.0",
            "-12/redis-idem-0.1.0",
            "host-34/redis-lock-0.1.0",
        ];
        made.iter().for_each(|folder| fs::create_dir_all(all.join(folder)).unwrap());
        forget_sources(&all, "redis-lock");
        let left: Vec<_> = made.into_iter().filter(|folder| all.join(folder).exists()).collect();
        fs::remove_dir_all(&all).unwrap();
        assert_eq!(left, made[1..]);
    }

    #[test]
    fn nothing_to_forget_is_fine() {
        forget_sources(Path::new("/no/such/folder"), "redis-lock");
    }
}
