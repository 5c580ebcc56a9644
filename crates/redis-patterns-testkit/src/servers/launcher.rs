//! How one server process comes to life: a program of this machine or a Docker image.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::command::run;
use super::paths::quoted;
use super::ports::Port;
use super::{Backend, Error, ServerChoice, find};

/// Which program a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flavour {
    /// Redis.
    Redis,
    /// Valkey.
    Valkey,
}

/// A way to start servers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Launcher {
    /// A program of this machine.
    Native {
        /// The server program.
        binary: PathBuf,
        /// Whether it is Redis or Valkey.
        flavour: Flavour,
        /// Its version, such as `7.0.15`.
        version: String,
        /// Folders with shared libraries that the system does not have.
        libraries: Vec<PathBuf>,
    },
    /// A Docker image, run on the host's network so that its servers are on loopback like others.
    Docker {
        /// The image, such as `redis:8`.
        image: String,
    },
}

/// One server to be started.
#[derive(Debug)]
pub(super) struct Spec {
    /// Its name within the group, which is its folder's name too.
    pub(super) name: String,
    pub(super) port: Port,
    /// Ports that it uses besides; kept so that no other run takes them.
    pub(super) more_ports: Vec<Port>,
    pub(super) args: Vec<String>,
    /// Text files that it needs in its folder.
    pub(super) files: Vec<(String, String)>,
}

impl Launcher {
    /// The first way that works here: a server on PATH (or `$REDIS_SERVER_BIN`), Docker, the
    /// distribution's package.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] with everything that was tried, each with its reason.
    pub fn find(choice: &ServerChoice, backend: Backend) -> Result<Self, Error> {
        find::find(choice, backend)
    }

    /// A server program of this machine.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] when it cannot be run, is no Redis or Valkey, or is older than 7.0.
    pub fn native(binary: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::native_with(binary.into(), Vec::new())
    }

    /// An image that must be on this machine or be there to pull.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] when no engine answers or the image cannot be had.
    pub fn docker(image: &str) -> Result<Self, Error> {
        super::docker::ensure_image(image)?;
        Ok(Self::Docker { image: image.to_owned() })
    }

    pub(super) fn native_with(binary: PathBuf, libraries: Vec<PathBuf>) -> Result<Self, Error> {
        let mut ask = Command::new(&binary);
        ask.arg("--version");
        if let Some(path) = library_path(&libraries) {
            ask.env("LD_LIBRARY_PATH", path);
        }
        let shown = binary.display();
        let said = run(&mut ask, Duration::from_secs(10))
            .and_then(|output| output.ok(&format!("{shown} --version")))
            .map_err(|e| Error::unusable(e.to_string(), "give a working server program"))?;
        let Some((flavour, version)) = flavour_and_version(&said) else {
            let said = said.lines().next().unwrap_or_default().to_owned();
            return Err(Error::unusable(
                format!("{shown} is no Redis or Valkey server; it said {said:?}"),
                "give a redis-server or valkey-server",
            ));
        };
        check_floor(&version).map_err(|why| {
            Error::unusable(format!("{shown} {why}"), "install Redis 7.0 or Valkey 7.2 or newer")
        })?;
        Ok(Self::Native { binary, flavour, version, libraries })
    }

    /// How the servers are run, for people: `native /usr/bin/redis-server` or `docker redis:8`.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Native { binary, .. } => format!("native {}", binary.display()),
            Self::Docker { image } => format!("docker {image}"),
        }
    }

    /// The shell script that starts a server in `dir`.
    pub(super) fn script(&self, spec: &Spec, dir: &Path, container: &str) -> String {
        match self {
            Self::Native { binary, libraries, .. } => native_script(binary, libraries, spec, dir),
            Self::Docker { image } => docker_script(image, spec, container),
        }
    }
}

/// What every server gets before its own arguments. Its folder is its working folder.
fn arguments(spec: &Spec) -> String {
    let port = spec.port.number().to_string();
    let common = ["--port", &port, "--bind", "127.0.0.1", "--protected-mode", "no", "--save", ""];
    let quick = ["--appendonly", "no", "--repl-diskless-sync-delay", "0"];
    let all = common.into_iter().chain(quick).chain(spec.args.iter().map(String::as_str));
    all.fold(String::new(), |line, word| line + " " + &quoted(word))
}

fn native_script(binary: &Path, libraries: &[PathBuf], spec: &Spec, dir: &Path) -> String {
    let mut script = format!("cd {} || exit 1\n", quoted(&dir.display().to_string()));
    if let Some(path) = library_path(libraries) {
        let _ = writeln!(script, "export LD_LIBRARY_PATH={}", quoted(&path));
    }
    let binary = quoted(&binary.display().to_string());
    let _ = writeln!(script, "exec {binary}{}", command_line(spec));
    script
}

/// Files go in as environment variables: a mounted folder would come back with files of another
/// user in it, which we could not remove.
fn docker_script(image: &str, spec: &Spec, container: &str) -> String {
    let server = if image.contains("valkey") { "valkey-server" } else { "redis-server" };
    let mut run = format!("exec docker run -d --name {container} --network host");
    let mut inside = String::from("mkdir -p /data && cd /data || exit 1\n");
    for (index, (name, text)) in spec.files.iter().enumerate() {
        let _ = write!(run, " -e FILE_{index}={}", quoted(text));
        // Not again at a restart: a sentinel writes its state into its own file.
        let _ = writeln!(inside, "[ -e {name} ] || printf '%s' \"$FILE_{index}\" >{name}");
    }
    let _ = writeln!(inside, "exec {server}{}", command_line(spec));
    format!("{run} {} sh -c {}\n", quoted(image), quoted(&inside))
}

fn command_line(spec: &Spec) -> String {
    // A sentinel's one argument is its own file; what is on the line would overrule it.
    if spec.args.iter().any(|arg| arg == "--sentinel") {
        return spec.args.iter().fold(String::new(), |line, word| line + " " + &quoted(word));
    }
    arguments(spec)
}

fn library_path(libraries: &[PathBuf]) -> Option<String> {
    let path: Vec<_> = libraries.iter().map(|dir| dir.display().to_string()).collect();
    (!path.is_empty()).then(|| path.join(":"))
}

/// Reads `Redis server v=7.0.15 sha=...` and `Valkey server v=9.1.2 ...`.
fn flavour_and_version(said: &str) -> Option<(Flavour, String)> {
    let flavour = match said.split_whitespace().next()? {
        "Redis" => Flavour::Redis,
        "Valkey" => Flavour::Valkey,
        _ => return None,
    };
    let version = said.split_whitespace().find_map(|word| word.strip_prefix("v="))?;
    Some((flavour, version.to_owned()))
}

/// The oldest server that the scripts run on is Redis 7.0.
pub(super) fn check_floor(version: &str) -> Result<(), String> {
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= 7 => Ok(()),
        _ => Err(format!("is version {version:?}, which is too old: 7.0 is the floor")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_old_ones_refused() {
        let said = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64";
        assert_eq!(flavour_and_version(said), Some((Flavour::Redis, "7.0.15".into())));
        let said = "Valkey server v=9.1.2 sha=00000000:0";
        assert_eq!(flavour_and_version(said), Some((Flavour::Valkey, "9.1.2".into())));
        assert_eq!(flavour_and_version("GNU bash 5.2"), None);
        assert!(check_floor("6.2.14").is_err() && check_floor("x").is_err());
        assert!(check_floor("7.0.0").is_ok() && check_floor("10.1").is_ok());
    }

    #[test]
    fn a_program_that_is_no_server_is_named() {
        let error = Launcher::native("/bin/sh").unwrap_err().to_string();
        assert!(error.contains("/bin/sh"), "{error}");
        let error = Launcher::native("/bin/echo").unwrap_err().to_string();
        assert!(error.contains("is no Redis or Valkey server"), "{error}");
    }
}
