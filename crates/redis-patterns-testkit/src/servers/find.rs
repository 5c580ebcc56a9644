//! Looks for a way to run the server that was asked for, and keeps every reason against.

use std::path::{Path, PathBuf};

use super::command::{is_program, on_path};
use super::debian::{self, Unpacked};
use super::launcher::Launcher;
use super::{Backend, Error, ServerChoice, docker};

const PACKAGE: &str = "the distribution's redis-server package";

pub(super) fn find(choice: &ServerChoice, backend: Backend) -> Result<Launcher, Error> {
    if let Some(explicit) = std::env::var_os("REDIS_SERVER_BIN").filter(|_| native(backend)) {
        return named(Path::new(&explicit), choice);
    }
    let mut tried = Vec::new();
    if native(backend) {
        match installed(choice) {
            Ok(found) => return Ok(found),
            Err(why) => tried.push(("PATH".to_owned(), why)),
        }
    }
    if backend != Backend::Native {
        match Launcher::docker(choice.image()) {
            Ok(found) => return Ok(found),
            Err(why) => tried.push(("Docker".to_owned(), reason(&why))),
        }
    }
    if native(backend) {
        match packaged(choice) {
            Ok(found) => return Ok(found),
            Err(why) => tried.push((PACKAGE.to_owned(), reason(&why))),
        }
    }
    Err(nothing(choice, &tried))
}

/// What is there for each way, in the order of [`Launcher::find`]: `(what, version and where)`,
/// or why it cannot be used. Downloads nothing.
#[must_use]
pub fn available(backend: Backend) -> Vec<(String, Result<String, String>)> {
    let mut rows = Vec::new();
    if native(backend) {
        rows.push(("server on PATH".to_owned(), describe(installed(&ServerChoice::Auto))));
    }
    if backend != Backend::Native {
        for choice in [ServerChoice::Redis8, ServerChoice::Redis7, ServerChoice::Valkey9] {
            let image = choice.image();
            rows.push((format!("Docker image {image}"), image_state(image)));
        }
        let compose = docker::compose().map(|words| words.join(" "));
        rows.push(("compose".to_owned(), compose.map_err(|e| reason(&e))));
    }
    if native(backend) {
        rows.push((PACKAGE.to_owned(), package_state()));
    }
    rows
}

fn native(backend: Backend) -> bool {
    backend != Backend::Compose
}

/// `$REDIS_SERVER_BIN` was set on purpose: if it does not work, nothing else is tried.
fn named(binary: &Path, choice: &ServerChoice) -> Result<Launcher, Error> {
    let next = "set REDIS_SERVER_BIN to a redis-server or valkey-server of 7.0 or newer, or unset it";
    let wrong = |why: String| Error::unusable(format!("REDIS_SERVER_BIN: {why}"), next);
    let launcher = Launcher::native(binary).map_err(|e| wrong(reason(&e)))?;
    accepted(launcher, choice).map_err(wrong)
}

fn installed(choice: &ServerChoice) -> Result<Launcher, String> {
    let mut why = Vec::new();
    for name in ["redis-server", "valkey-server"] {
        let Some(binary) = on_path(name) else {
            why.push(format!("no {name}"));
            continue;
        };
        let launcher = Launcher::native(binary).map_err(|e| reason(&e));
        match launcher.and_then(|launcher| accepted(launcher, choice)) {
            Ok(found) => return Ok(found),
            Err(reason) => why.push(reason),
        }
    }
    Err(why.join(", "))
}

fn packaged(choice: &ServerChoice) -> Result<Launcher, Error> {
    let unpacked = debian::unpack("debian-redis", &["redis-server", "redis-tools"], |root| {
        program(root).into_iter().collect()
    })?;
    let launcher = launcher_of(unpacked)?;
    let next = format!("use Docker: docker pull {}", choice.image());
    accepted(launcher, choice).map_err(|why| Error::unusable(why, next))
}

fn launcher_of(unpacked: Unpacked) -> Result<Launcher, Error> {
    let binary = program(&unpacked.root).unwrap_or_else(|| unpacked.root.clone());
    Launcher::native_with(binary, unpacked.libraries)
}

/// The server is a link to `redis-check-rdb`: the program tells its part from its name.
fn program(root: &Path) -> Option<PathBuf> {
    Some(root.join("usr/bin/redis-server")).filter(|file| is_program(file))
}

fn accepted(launcher: Launcher, choice: &ServerChoice) -> Result<Launcher, String> {
    match &launcher {
        Launcher::Native { binary, flavour, version, .. } if !choice.accepts(*flavour, version) => {
            Err(format!("{} is {flavour:?} {version}, not {choice}", binary.display()))
        }
        _ => Ok(launcher),
    }
}

fn image_state(image: &str) -> Result<String, String> {
    docker::engine().map_err(|e| reason(&e))?;
    match docker::has_image(image) {
        Ok(true) => Ok("is on this machine".to_owned()),
        Ok(false) => Err(format!("not on this machine; docker pull {image}")),
        Err(error) => Err(reason(&error)),
    }
}

fn package_state() -> Result<String, String> {
    match debian::already("debian-redis") {
        Some(unpacked) => describe(launcher_of(unpacked).map_err(|e| reason(&e))),
        None => debian::usable()
            .map(|()| "can be downloaded and unpacked below target/".to_owned())
            .map_err(|e| reason(&e)),
    }
}

fn describe(launcher: Result<Launcher, String>) -> Result<String, String> {
    launcher.map(|launcher| match &launcher {
        Launcher::Native { flavour, version, .. } => {
            format!("{flavour:?} {version}, {}", launcher.describe())
        }
        Launcher::Docker { .. } => launcher.describe(),
    })
}

/// An error as one of several reasons: its own next step would only confuse among them.
fn reason(error: &Error) -> String {
    match error {
        Error::Unusable { what, .. } => what.clone(),
        other => other.to_string(),
    }
}

fn nothing(choice: &ServerChoice, tried: &[(String, String)]) -> Error {
    let lines: Vec<String> = tried.iter().map(|(what, why)| format!("\n  - {what}: {why}")).collect();
    Error::unusable(
        format!("no way to start a server ({choice}) works here. Tried:{}", lines.concat()),
        format!(
            "apt-get install redis-server, or start Docker and docker pull {}, \
             or set REDIS_URL=redis://host:port",
            choice.image()
        ),
    )
}
