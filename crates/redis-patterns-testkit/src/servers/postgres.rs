//! One Postgres, by the same ways as Redis.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::command::{is_program, on_path, run};
use super::debian;
use super::guardian::Guardian;
use super::paths::{self, quoted};
use super::ports::Port;
use super::wait::wait_ok;
use super::{Backend, Error, docker};

const IMAGE: &str = "postgres:17";
const PACKAGE_FOLDER: &str = "debian-postgres";
/// The first start of an image fills the data folder first.
const READY: Duration = Duration::from_secs(60);
const NEXT: &str = "apt-get install postgresql, or start Docker and docker pull postgres:17, \
                    or set POSTGRES_URL=postgres://user:password@host:port/database";

/// A Postgres server, gone when this is dropped unless it was there before.
#[derive(Debug)]
pub struct Postgres {
    url: String,
    description: String,
    _port: Option<Port>,
    guardian: Option<Guardian>,
}

impl Postgres {
    /// The first that works: `$POSTGRES_URL` or `$DATABASE_URL`, an image that is here, the
    /// programs of this machine, the distribution's package, an image to be pulled.
    ///
    /// # Errors
    ///
    /// [`Error::Unusable`] with everything that was tried, each with its reason.
    pub fn start() -> Result<Self, Error> {
        Self::start_with(Backend::Auto)
    }

    /// Like [`Postgres::start`], without Docker for [`Backend::Native`] and with nothing but
    /// Docker for [`Backend::Compose`].
    ///
    /// # Errors
    ///
    /// As [`Postgres::start`].
    pub fn start_with(backend: Backend) -> Result<Self, Error> {
        if backend == Backend::Auto
            && let Some(url) = url_of_environment()
        {
            startup(&url)?;
            let description = "the server that the environment names".to_owned();
            return Ok(Self { url, description, _port: None, guardian: None });
        }
        let here = backend != Backend::Native && docker::has_image(IMAGE).unwrap_or(false);
        type Way = fn() -> Result<Postgres, Error>;
        let mut ways: Vec<(&str, Way)> = Vec::new();
        if backend != Backend::Compose {
            ways.push(("programs of this machine", installed));
            ways.push(("the distribution's package", packaged));
        }
        if backend != Backend::Native {
            ways.insert(if here { 0 } else { ways.len() }, ("Docker image postgres:17", contained));
        }
        let mut tried = String::new();
        for (what, way) in ways {
            match way() {
                Ok(found) => return Ok(found),
                Err(why) => tried.push_str(&format!("\n  - {what}: {}", first_line(&why))),
            }
        }
        Err(Error::unusable(format!("no way to start Postgres works here. Tried:{tried}"), NEXT))
    }

    /// `postgres://user:password@host:port/database`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it comes from.
    #[must_use]
    pub fn describe(&self) -> &str {
        &self.description
    }

    /// Whether it was started here and will be gone with this.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.guardian.is_some()
    }

    fn ready(url: String, description: String, port: Port, guardian: Guardian) -> Result<Self, Error> {
        let log = guardian.dir().join("log");
        wait_ok(READY, "Postgres to take connections", || startup(&url).map(Some)).map_err(|e| {
            let said = std::fs::read_to_string(log).unwrap_or_default();
            Error::unusable(format!("{e}; its log: {}", said.trim()), "see the log")
        })?;
        Ok(Self { url, description, _port: Some(port), guardian: Some(guardian) })
    }
}

fn url_of_environment() -> Option<String> {
    let urls = ["POSTGRES_URL", "DATABASE_URL"].into_iter().filter_map(|name| std::env::var(name).ok());
    urls.into_iter().find(|url| url.starts_with("postgres://") || url.starts_with("postgresql://"))
}

fn contained() -> Result<Postgres, Error> {
    docker::ensure_image(IMAGE)?;
    let guardian = Guardian::new()?;
    let port = Port::any()?;
    let number = port.number();
    let name = format!("redis-patterns-{}-postgres", paths::unique());
    guardian.set_cleanup(&format!("docker rm -fv {name}\n"))?;
    let script = format!(
        "exec docker run -d --name {name} -e POSTGRES_PASSWORD=test \
         -p 127.0.0.1:{number}:5432 {IMAGE}\n"
    );
    paths::write(&guardian.dir().join("start"), &script)?;
    let job = guardian.job("start", "log")?;
    if guardian.join(job)? != 0 {
        let said = std::fs::read_to_string(guardian.dir().join("log")).unwrap_or_default();
        return Err(Error::unusable(format!("docker run failed: {}", said.trim()), NEXT));
    }
    let url = format!("postgres://postgres:test@127.0.0.1:{number}/postgres");
    Postgres::ready(url, format!("docker {IMAGE}"), port, guardian)
}

fn installed() -> Result<Postgres, Error> {
    let bin = folder_with_programs(Path::new("/"))
        .ok_or_else(|| Error::unusable("no initdb and postgres on PATH or in /usr/lib/postgresql", NEXT))?;
    native(&bin, &[])
}

fn packaged() -> Result<Postgres, Error> {
    if let Some(done) = debian::already(PACKAGE_FOLDER)
        && let Some(bin) = folder_with_programs(&done.root)
    {
        return native(&bin, &done.libraries);
    }
    let find = |root: &Path| folder_with_programs(root).map(|bin| bin.join("postgres"));
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

/// Speaks the first words of the protocol: a server that takes connections asks to log in or
/// lets us in, one that is still starting answers with an error.
fn startup(url: &str) -> Result<(), Error> {
    let (user, address, database) = parts(url);
    let failed = |e| Error::io(format!("Postgres at {address} does not answer"), e);
    let targets = address.to_socket_addrs().map_err(failed)?;
    let mut last = std::io::ErrorKind::AddrNotAvailable.into();
    for target in targets {
        match greet(&target, &user, &database) {
            Ok(b'R') => return Ok(()),
            Ok(_) => last = std::io::Error::other("it is not ready, or refuses this user"),
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

fn greet(target: &std::net::SocketAddr, user: &str, database: &str) -> std::io::Result<u8> {
    let mut stream = TcpStream::connect_timeout(target, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut body = 196_608_u32.to_be_bytes().to_vec();
    body.extend_from_slice(format!("user\0{user}\0database\0{database}\0\0").as_bytes());
    let length = u32::try_from(body.len() + 4).unwrap_or_default();
    stream.write_all(&[&length.to_be_bytes()[..], &body].concat())?;
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    Ok(kind[0])
}

/// User, `host:port` and database of a URL.
fn parts(url: &str) -> (String, String, String) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let rest = rest.split('?').next().unwrap_or_default();
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (userinfo, host) = authority.rsplit_once('@').unwrap_or(("postgres", authority));
    let user = userinfo.split(':').next().unwrap_or_default().to_owned();
    let address = if host.contains(':') { host.to_owned() } else { format!("{host}:5432") };
    let database = if database.is_empty() { user.clone() } else { database.to_owned() };
    (user, address, database)
}

fn first_line(error: &Error) -> String {
    match error {
        Error::Unusable { what, .. } => what.clone(),
        other => other.to_string(),
    }
}
