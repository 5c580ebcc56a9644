//! What Docker says: whether the engine answers, which images it has, which compose is there.

use std::process::Command;
use std::time::Duration;

use super::Error;
use super::command::run;

/// Quick questions to the engine.
const ASK: Duration = Duration::from_secs(10);
/// A download of some 50 MB on a slow line.
const PULL: Duration = Duration::from_secs(180);

/// Why Docker cannot be used here, if so.
pub(super) fn engine() -> Result<(), Error> {
    let next = "start Docker, or install a server: apt-get install redis-server";
    let output = docker(&["version", "--format", "{{.Server.Version}}"], ASK)
        .map_err(|e| Error::unusable(e.to_string(), next))?;
    if output.success {
        return Ok(());
    }
    Err(Error::unusable(format!("no Docker engine answers ({})", output.complaint()), next))
}

/// Makes sure that an image is here; pulls it only if it is not.
pub(super) fn ensure_image(image: &str) -> Result<(), Error> {
    engine()?;
    if has_image(image)? {
        return Ok(());
    }
    let output = docker(&["pull", "--quiet", image], PULL)?;
    if output.success {
        return Ok(());
    }
    Err(Error::unusable(
        format!("the image {image} is not here and cannot be pulled ({})", output.complaint()),
        format!("docker pull {image}"),
    ))
}

pub(super) fn has_image(image: &str) -> Result<bool, Error> {
    docker(&["image", "inspect", "--format", "{{.Id}}", image], ASK).map(|output| output.success)
}

pub(super) fn pid(container: &str) -> Result<u32, Error> {
    let said = docker(&["inspect", "--format", "{{.State.Pid}}", container], ASK)?
        .ok(&format!("docker inspect {container}"))?;
    said.trim().parse().map_err(|_| Error::io(said, std::io::ErrorKind::InvalidData.into()))
}

/// A paused one runs too.
pub(super) fn is_running(container: &str) -> bool {
    docker(&["inspect", "--format", "{{.State.Running}}", container], ASK)
        .is_ok_and(|output| output.stdout.trim() == "true")
}

pub(super) fn logs(container: &str) -> String {
    docker(&["logs", "--tail", "20", container], ASK)
        .map(|output| output.stdout + &output.stderr)
        .unwrap_or_default()
}

/// The words that run compose: the plugin, else the older program of its own.
pub(super) fn compose() -> Result<&'static [&'static str], Error> {
    engine()?;
    if docker(&["compose", "version"], ASK).is_ok_and(|output| output.success) {
        return Ok(&["docker", "compose"]);
    }
    let alone = run(Command::new("docker-compose").arg("version"), ASK);
    if alone.is_ok_and(|output| output.success) {
        return Ok(&["docker-compose"]);
    }
    Err(Error::unusable(
        "Docker answers, but neither `docker compose` nor `docker-compose` is here",
        "install Docker's compose plugin (apt-get install docker-compose), or use --backend native",
    ))
}

fn docker(args: &[&str], deadline: Duration) -> Result<super::command::Output, Error> {
    run(Command::new("docker").args(args), deadline)
}
