//! Packages of Debian and Ubuntu, downloaded and unpacked below `target/`: nothing is installed,
//! no file of the system is written, no root is needed.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::command::{on_path, run};
use super::{Error, paths};

const DOWNLOAD: Duration = Duration::from_secs(240);
const QUICK: Duration = Duration::from_secs(30);
const NEXT: &str = "apt-get install redis-server (or the package named above)";

/// Packages that lie unpacked in a folder.
#[derive(Debug)]
pub(super) struct Unpacked {
    pub(super) root: PathBuf,
    /// Where their shared libraries are.
    pub(super) libraries: Vec<PathBuf>,
}

/// Why packages cannot be had here, if so. Asks nothing of the network.
pub(super) fn usable() -> Result<(), Error> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let ours = release.lines().any(|line| {
        (line.starts_with("ID=") || line.starts_with("ID_LIKE="))
            && (line.contains("debian") || line.contains("ubuntu"))
    });
    if !ours {
        let next = "install Redis 7.0 or newer by the means of your system";
        return Err(Error::unusable("this is neither Debian nor Ubuntu", next));
    }
    match ["apt-get", "dpkg-deb", "ldd"].iter().find(|tool| on_path(tool).is_none()) {
        Some(tool) => Err(Error::unusable(format!("{tool} is not on PATH"), NEXT)),
        None => Ok(()),
    }
}

/// Where packages of that name are unpacked to, if they have been.
pub(super) fn already(name: &str) -> Option<Unpacked> {
    let root = folder(name).join("root");
    folder(name).join("complete").exists().then(|| Unpacked { libraries: libraries(&root), root })
}

/// Downloads and unpacks `packages` once. `programs` finds the programs among the unpacked files,
/// for whose missing libraries the packages' dependencies are unpacked too.
pub(super) fn unpack(
    name: &str,
    packages: &[&str],
    programs: impl Fn(&Path) -> Vec<PathBuf>,
) -> Result<Unpacked, Error> {
    usable()?;
    let folder = folder(name);
    paths::create(&folder)?;
    let _turn = wait_turn(&folder)?;
    if let Some(done) = already(name) {
        return Ok(done);
    }
    let root = folder.join("root");
    let _ = fs::remove_dir_all(&root);
    let mut known: BTreeSet<String> = BTreeSet::new();
    let mut wanted: Vec<String> = packages.iter().map(|&name| name.to_owned()).collect();
    loop {
        known.extend(wanted.iter().cloned());
        let dependencies = fetch(&folder, &root, &wanted)?;
        let missing = missing_libraries(&programs(&root), &libraries(&root))?;
        if missing.is_empty() {
            break;
        }
        wanted = dependencies.into_iter().filter(|name| !known.contains(name)).collect();
        wanted.retain(|name| !is_installed(name));
        if wanted.is_empty() {
            let what = format!("the packages {packages:?} lack the libraries {missing:?}");
            return Err(Error::unusable(what, NEXT));
        }
    }
    paths::write(&folder.join("complete"), "")?;
    Ok(Unpacked { libraries: libraries(&root), root })
}

/// The package `prefixNN` with the highest number that the package lists know.
pub(super) fn newest(name: &str, prefix: &str) -> Result<Option<String>, Error> {
    usable()?;
    let folder = folder(name);
    paths::create(&folder)?;
    let _turn = wait_turn(&folder)?;
    let numbered = |own_lists: bool| {
        let mut ask = Command::new("apt-cache");
        let output = run(ask.args(options(&folder, own_lists)).args(["pkgnames", prefix]), QUICK).ok()?;
        let numbers = output.stdout.lines().filter_map(|name| name.strip_prefix(prefix)?.parse().ok());
        numbers.max().map(|newest: u32| format!("{prefix}{newest}"))
    };
    if let Some(found) = numbered(false) {
        return Ok(Some(found));
    }
    paths::create(&folder.join("apt/lists/partial"))?;
    apt(&folder, &options(&folder, true), "update", &[])?;
    Ok(numbered(true))
}

fn folder(name: &str) -> PathBuf {
    paths::base().join("servers").join(name)
}

/// Two processes that need the package at once download it once.
fn wait_turn(folder: &Path) -> Result<File, Error> {
    let path = folder.join("lock");
    let failed = |e| Error::io(format!("cannot lock {}", path.display()), e);
    let file = File::create(&path).map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
}

/// Downloads packages and unpacks them; answers what they depend on.
fn fetch(folder: &Path, root: &Path, names: &[String]) -> Result<Vec<String>, Error> {
    let debs = folder.join("debs");
    let _ = fs::remove_dir_all(&debs);
    paths::create(&debs)?;
    download(folder, &debs, names)?;
    let mut dependencies = Vec::new();
    let entries = fs::read_dir(&debs).map_err(|e| Error::io("cannot list the packages", e))?;
    for deb in entries.flatten().map(|entry| entry.path()) {
        let unpack = run(Command::new("dpkg-deb").arg("-x").arg(&deb).arg(root), QUICK)?;
        unpack.ok(&format!("dpkg-deb -x {}", deb.display()))?;
        let fields = run(Command::new("dpkg-deb").arg("-f").arg(&deb).arg("Depends"), QUICK)?;
        dependencies.extend(names_in(&fields.stdout));
    }
    let _ = fs::remove_dir_all(&debs);
    Ok(dependencies)
}

/// With the package lists that are there; when these are missing or stale, with lists of our own.
fn download(folder: &Path, debs: &Path, names: &[String]) -> Result<(), Error> {
    let own = options(folder, true);
    let lists = folder.join("apt/lists/partial");
    if !lists.exists() {
        let system = apt(debs, &options(folder, false), "download", names)?;
        if system.success {
            return Ok(());
        }
        paths::create(&lists)?;
    }
    // Its exit status says little: one unreachable extra source makes it fail.
    let update = apt(debs, &own, "update", &[])?;
    let output = apt(debs, &own, "download", names)?;
    if output.success {
        return Ok(());
    }
    Err(Error::unusable(
        format!(
            "apt-get cannot download {} ({}; update: {})",
            names.join(", "),
            output.complaint(),
            update.complaint(),
        ),
        NEXT,
    ))
}

fn apt(
    debs: &Path,
    options: &[String],
    verb: &str,
    names: &[String],
) -> Result<super::command::Output, Error> {
    let mut command = Command::new("apt-get");
    command.current_dir(debs).args(options).arg("-q").arg(verb).args(names);
    run(command.env("LC_ALL", "C").env("DEBIAN_FRONTEND", "noninteractive"), DOWNLOAD)
}

/// All that apt writes goes into our folder.
fn options(folder: &Path, own_lists: bool) -> Vec<String> {
    let apt = folder.join("apt");
    let mut set = vec![
        format!("Dir::Cache={}", apt.join("cache").display()),
        // apt's download user could not write below a home folder.
        "APT::Sandbox::User=root".to_owned(),
        "Acquire::Retries=1".to_owned(),
        "Acquire::http::Timeout=20".to_owned(),
        "Acquire::https::Timeout=20".to_owned(),
        "Acquire::Languages=none".to_owned(),
    ];
    if own_lists {
        set.push(format!("Dir::State::lists={}", apt.join("lists").display()));
    }
    let _ = fs::create_dir_all(apt.join("cache/archives/partial"));
    set.into_iter().flat_map(|option| ["-o".to_owned(), option]).collect()
}

/// `libc6 (>= 2.34), adduser | x, liblzf1` names libc6, adduser and liblzf1.
fn names_in(depends: &str) -> Vec<String> {
    let first = |clause: &str| Some(clause.split_whitespace().next()?.to_owned());
    depends.split(',').filter_map(first).map(|name| name.replace(":any", "")).collect()
}

fn is_installed(package: &str) -> bool {
    let mut ask = Command::new("dpkg-query");
    ask.args(["-W", "-f", "${db:Status-Status}", package]);
    run(&mut ask, QUICK).is_ok_and(|output| output.stdout == "installed")
}

fn missing_libraries(programs: &[PathBuf], libraries: &[PathBuf]) -> Result<Vec<String>, Error> {
    if programs.is_empty() {
        return Err(Error::unusable("the packages hold no server program", NEXT));
    }
    let path = std::env::join_paths(libraries).unwrap_or_default();
    let mut ldd = Command::new("ldd");
    let output = run(ldd.args(programs).env("LD_LIBRARY_PATH", path), QUICK)?;
    let lines = output.stdout.lines().filter(|line| line.contains("not found"));
    Ok(lines.filter_map(|line| Some(line.split_whitespace().next()?.to_owned())).collect())
}

/// `usr/lib/x86_64-linux-gnu` and the like.
fn libraries(root: &Path) -> Vec<PathBuf> {
    let parents = ["usr/lib", "lib"].map(|parent| root.join(parent));
    let entries = parents.iter().filter_map(|parent| fs::read_dir(parent).ok()).flatten();
    let dirs = entries.flatten().map(|entry| entry.path());
    dirs.filter(|dir| dir.is_dir() && dir.to_string_lossy().contains("-linux-")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_from_a_control_field() {
        let names = names_in("libc6 (>= 2.34), libjemalloc2 (>= 2.1.1), adduser | x, p:any\n");
        assert_eq!(names, ["libc6", "libjemalloc2", "adduser", "p"]);
        assert!(names_in("").is_empty());
    }
}
