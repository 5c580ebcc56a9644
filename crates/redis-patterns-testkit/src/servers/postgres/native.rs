//! Postgres from the programs of this machine, or from the distribution's package.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::super::command::{is_program, on_path, run};
use super::super::guardian::Guardian;
use super::super::paths::{self, quoted};
use super::super::ports::Port;
use super::super::{Error, debian};
use super::{NEXT, Postgres};

const PACKAGE_FOLDER: &str = "debian-postgres";

pub(super) fn installed() -> Result<Postgres, Error> {
    let bin = folder_with_programs(Path::new("/"))
        .ok_or_else(|| Error::unusable("no initdb and postgres on PATH or in /usr/lib/postgresql", NEXT))?;
    native(&bin, &[])
}

pub(super) fn packaged() -> Result<Postgres, Error> {
    if let Some(done) = debian::already(PACKAGE_FOLDER)
        && let Some(bin) = folder_with_programs(&done.root)
    {
        return native(&bin, &done.libraries);
    }
    let find = |root: &Path| {
        let bin = folder_with_programs(root);
        bin.into_iter().flat_map(|bin| ["postgres", "initdb"].map(|name| bin.join(name))).collect()
    };
    let package = debian::newest(PACKAGE_FOLDER, "postgresql-")?
        .ok_or_else(|| Error::unusable("the package lists know no postgresql-NN", NEXT))?;
    let unpacked = debian::unpack(PACKAGE_FOLDER, &[&package], find)?;
    let bin = folder_with_programs(&unpacked.root)
        .ok_or_else(|| Error::unusable(format!("{package} holds no postgres"), NEXT))?;
    native(&bin, &unpacked.libraries)
}

/// PATH first, as `postgres` may be newer there; only for the system's root.
fn folder_with_programs(root: &Path) -> Option<PathBuf> {
    let complete = |dir: &PathBuf| ["initdb", "postgres"].iter().all(|p| is_program(&dir.join(p)));
    let on_path = on_path("initdb").filter(|_| root == Path::new("/"));
    if let Some(dir) = on_path.and_then(|file| Some(file.parent()?.to_owned())).filter(complete) {
        return Some(dir);
    }
    let versions = std::fs::read_dir(root.join("usr/lib/postgresql")).ok()?;
    let dirs = versions.flatten().map(|version| version.path().join("bin"));
    dirs.filter(complete).max()
}

/// Runs the programs in `bin`. Postgres refuses to run as root: then as another user, in a folder
/// that this user can reach.
fn native(bin: &Path, libraries: &[PathBuf]) -> Result<Postgres, Error> {
    let dir = std::env::temp_dir().join(format!("redis-patterns-pg-{}", paths::unique()));
    let _ = std::fs::remove_dir_all(&dir);
    paths::create(&dir)?;
    let guardian = Guardian::of(dir.clone())?;
    let port = Port::any()?;
    let number = port.number();
    let (user, as_user) = other_user()?;
    let bin = reachable(bin, &dir, &as_user)?;
    let shown = bin.join("postgres").display().to_string();
    let path = std::env::join_paths(libraries).unwrap_or_default();
    let program = |name: &str| quoted(&bin.join(name).display().to_string());
    let mut head = format!("cd {} || exit 1\n", quoted(&dir.display().to_string()));
    if !libraries.is_empty() {
        head.push_str(&format!("export LD_LIBRARY_PATH={}\n", quoted(&path.to_string_lossy())));
    }
    let owned = user.map(|user| format!("chown {user} data || exit 1\n")).unwrap_or_default();
    let make = format!(
        "{head}mkdir -m 700 data || exit 1\n{owned}exec {as_user}{} -D data -U postgres -A trust \
         --no-sync -E UTF8 --locale=C\n",
        program("initdb"),
    );
    let serve = format!(
        "{head}exec {as_user}{} -D data -p {number} -c listen_addresses=127.0.0.1 \
         -c unix_socket_directories= -c fsync=off\n",
        program("postgres"),
    );
    paths::write(&dir.join("make"), &make)?;
    paths::write(&dir.join("start"), &serve)?;
    let job = guardian.job("make", "log")?;
    if guardian.join(job)? != 0 {
        let said = std::fs::read_to_string(dir.join("log")).unwrap_or_default();
        return Err(Error::unusable(format!("initdb failed: {}", said.trim()), NEXT));
    }
    guardian.tend("start", "log")?;
    let url = format!("postgres://postgres@127.0.0.1:{number}/postgres");
    Postgres::ready(url, format!("native {shown}"), port, guardian)
}

/// For root: the user to become and the words that do it. Else nothing.
fn other_user() -> Result<(Option<&'static str>, String), Error> {
    let id = |args: &[&str]| {
        run(Command::new("id").args(args), Duration::from_secs(5))
            .ok()
            .filter(|output| output.success)
            .map(|output| output.stdout.trim().to_owned())
    };
    if id(&["-u"]).as_deref() != Some("0") {
        return Ok((None, String::new()));
    }
    let user = ["postgres", "nobody"].into_iter().find_map(|name| Some((name, id(&["-g", name])?)));
    let (name, group) = user.ok_or_else(|| {
        Error::unusable("Postgres cannot run as root, and there is no user postgres or nobody", NEXT)
    })?;
    if on_path("setpriv").is_none() {
        return Err(Error::unusable("Postgres cannot run as root, and setpriv is missing", NEXT));
    }
    Ok((Some(name), format!("setpriv --reuid={name} --regid={group} --clear-groups ")))
}

/// Programs below a home folder of root are out of another user's reach: then a copy is used.
fn reachable(bin: &Path, dir: &Path, as_user: &str) -> Result<PathBuf, Error> {
    let program = quoted(&bin.join("postgres").display().to_string());
    let reach = format!("{as_user}test -x {program}");
    let sh = |line: &str| run(Command::new("sh").args(["-c", line]), Duration::from_secs(60));
    if as_user.is_empty() || sh(&reach)?.success {
        return Ok(bin.to_owned());
    }
    // bin is ROOT/usr/lib/postgresql/NN/bin, and the programs look for ROOT/usr/share from there.
    let root = bin.ancestors().nth(5).unwrap_or(bin);
    let copy = dir.join("root");
    let copied =
        format!("cp -a {} {}", quoted(&root.display().to_string()), quoted(&copy.display().to_string()));
    sh(&copied)?.ok("copying Postgres to where its user can reach it")?;
    Ok(copy.join(bin.strip_prefix(root).unwrap_or(bin)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distributions_package_runs() {
        // It downloads some 40 MB, so it is asked for.
        if std::env::var_os("REDIS_PATTERNS_DOWNLOADS").is_none() {
            println!(
                "skipped: set REDIS_PATTERNS_DOWNLOADS=1 to download and run the distribution's Postgres"
            );
            return;
        }
        let postgres = packaged().unwrap();
        assert!(postgres.describe().contains("usr/lib/postgresql"), "{}", postgres.describe());
    }
}
