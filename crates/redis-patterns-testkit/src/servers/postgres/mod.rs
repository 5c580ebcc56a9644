//! One Postgres, by the same ways as Redis.

mod native;
mod protocol;

use std::time::Duration;

use self::native::{installed, packaged};
use self::protocol::startup;
use super::guardian::Guardian;
use super::paths;
use super::ports::Port;
use super::wait::wait_ok;
use super::{Backend, Error, docker};

const IMAGE: &str = "postgres:17";
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

fn first_line(error: &Error) -> String {
    match error {
        Error::Unusable { what, .. } => what.clone(),
        other => other.to_string(),
    }
}
