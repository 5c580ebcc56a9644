//! A wall clock that can be set, for the programs that are started under it.

use redis_patterns_testkit::servers::Launcher;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

const SHIM: &str = include_str!("../shim/clock.c");

/// The clock of a group of processes, by a library that the C compiler makes on the spot.
#[derive(Debug)]
pub(crate) struct WallClock {
    library: PathBuf,
    offset: PathBuf,
}

impl WallClock {
    pub(crate) fn new(dir: &Path) -> io::Result<Self> {
        let (source, library, offset) = (dir.join("clock.c"), dir.join("clock.so"), dir.join("offset"));
        std::fs::write(&source, SHIM)?;
        let mut cc = Command::new("cc");
        let built = cc.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(&source).status()?;
        if !built.success() {
            return Err(io::Error::other("cc does not build the library that sets clocks"));
        }
        File::create(&offset)?.write_all(&0_i64.to_ne_bytes())?;
        Ok(Self { library, offset })
    }

    /// What a program needs in its environment.
    pub(crate) fn environment(&self) -> [(&'static str, &Path); 2] {
        [("LD_PRELOAD", &self.library), ("CHAOS_CLOCK", &self.offset)]
    }

    /// Sets the clock, at once, for all that run.
    pub(crate) fn set(&self, seconds: i64) -> io::Result<()> {
        // Not cut first: the programs have it mapped.
        OpenOptions::new().write(true).open(&self.offset)?.write_all(&seconds.to_ne_bytes())
    }

    /// The same server, under this clock.
    pub(crate) fn launcher(&self, of: &Launcher, dir: &Path) -> io::Result<Launcher> {
        let Launcher::Native { binary, libraries, .. } = of else {
            return Err(io::Error::other("the clock of a container cannot be set"));
        };
        let libraries: Vec<_> = libraries.iter().map(|dir| dir.display().to_string()).collect();
        let (library, offset, binary) = (self.library.display(), self.offset.display(), binary.display());
        let script = format!(
            "#!/bin/sh\nexport LD_LIBRARY_PATH='{}'\nexport CHAOS_CLOCK='{offset}'\nexport LD_PRELOAD='{library}'\nexec '{binary}' \"$@\"\n",
            libraries.join(":")
        );
        let path = dir.join("redis-server");
        std::fs::write(&path, script)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o755))?;
        Launcher::native(path).map_err(io::Error::other)
    }
}
