//! What all processes of one run share: the server, the namespace of its keys, the folder of its
//! database.

use crate::Fallible;
use crate::settings::COMMAND_DEADLINE;
use redis_patterns_core::{Namespace, Redis, hex, random_bytes};
use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Redis is, if no command line says so. A URL may hold a password, and a command line is
/// everybody's to read.
pub(crate) const URL: &str = "REDIS_PATTERNS_SHOWCASE_URL";
const NAMESPACE: &str = "REDIS_PATTERNS_SHOWCASE_NAMESPACE";
const FOLDER: &str = "REDIS_PATTERNS_SHOWCASE_FOLDER";

/// One run of the showcase; no two meet.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) url: String,
    pub(crate) namespace: String,
    pub(crate) folder: PathBuf,
}

impl Run {
    /// A new run on this server, with a name of its own. Nothing is made yet.
    pub(crate) fn new(url: &str) -> Fallible<Self> {
        let name = format!("showcase-{}", hex(&random_bytes::<6>()?));
        let folder = std::env::temp_dir().join(format!("redis-patterns-{name}"));
        Ok(Self { url: url.to_owned(), namespace: name, folder })
    }

    /// The run that started this process.
    pub(crate) fn inherited() -> Fallible<Self> {
        let read = |name: &str| {
            std::env::var(name).map_err(|_| format!("{name} is not set: only a run starts this task"))
        };
        Ok(Self { url: read(URL)?, namespace: read(NAMESPACE)?, folder: read(FOLDER)?.into() })
    }

    /// A command that starts another process of this run, in a group of its own: Ctrl-C is for the
    /// run alone, whose end then ends them.
    pub(crate) fn command(&self, task: &str) -> Fallible<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env(URL, &self.url).env(NAMESPACE, &self.namespace).env(FOLDER, &self.folder);
        command.arg(task).process_group(0);
        Ok(command)
    }

    /// A handle of this process's own.
    pub(crate) async fn connect(&self) -> Fallible<Redis> {
        let builder = Redis::builder(&self.url)
            .namespace(Namespace::new(&self.namespace)?)
            .command_deadline(COMMAND_DEADLINE);
        Ok(Box::pin(builder.connect()).await?)
    }

    /// The file of the stock.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.join("stock.sqlite")
    }

    /// Where `--serve` lets curl keep its cookies.
    pub(crate) fn cookies(&self) -> PathBuf {
        self.folder.join("cookies.txt")
    }

    /// Makes the folder, for this user alone.
    pub(crate) fn make_folder(&self) -> Fallible<()> {
        let made = DirBuilder::new().mode(0o700).create(&self.folder);
        made.map_err(|error| format!("cannot make {}: {error}", self.folder.display()).into())
    }

    /// Whether this is the first time that any process of the run asks it about `name`.
    pub(crate) fn is_first(&self, name: &str) -> Fallible<bool> {
        match File::create_new(self.folder.join(format!("first.{name}"))) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The folder, to be shown.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }
}
