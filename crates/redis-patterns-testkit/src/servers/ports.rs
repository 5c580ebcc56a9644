//! Ports that two runs on one machine never both use.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

use super::Error;

/// Below the range from which systems take the ports of outgoing connections: such a connection
/// could otherwise sit on the port of a server that is being restarted.
const FIRST: u16 = 10_000;
const LAST: u16 = 29_999;

/// A port of ours while this lives: other runs see the lock even while the server is down.
#[derive(Debug)]
pub(super) struct Port {
    number: u16,
    lock: Option<File>,
}

impl Port {
    pub(super) fn number(&self) -> u16 {
        self.number
    }

    /// Takes any free port.
    pub(super) fn any() -> Result<Self, Error> {
        Ok(Self::run(1)?.remove(0))
    }

    /// Takes this port if it is free, else any.
    pub(super) fn preferred(number: u16) -> Result<Self, Error> {
        Self::take(number).map_or_else(Self::any, Ok)
    }

    /// Takes `count` ports in a row that start at `first`, if all are free.
    pub(super) fn run_from(first: u16, count: u16) -> Option<Vec<Self>> {
        (first..first + count).map(Self::take).collect()
    }

    /// Takes `count` free ports in a row.
    pub(super) fn run(count: u16) -> Result<Vec<Self>, Error> {
        let span = LAST - FIRST - count;
        let mut offset = seed() % u32::from(span);
        for _ in 0..2_000 {
            let first = FIRST + u16::try_from(offset).unwrap_or_default();
            if let Some(ports) = Self::run_from(first, count) {
                return Ok(ports);
            }
            offset = (offset + 37) % u32::from(span);
        }
        Err(Error::unusable(
            format!("no {count} free ports in a row between {FIRST} and {LAST} on 127.0.0.1"),
            "stop servers that you no longer need, for example with `cargo xtask down`",
        ))
    }

    fn take(number: u16) -> Option<Self> {
        let lock = lock_file(number)?;
        TcpListener::bind((Ipv4Addr::LOCALHOST, number)).ok()?;
        Some(Self { number, lock })
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // Removed while it is still locked: see `lock_file`.
        if self.lock.is_some() {
            let _ = fs::remove_file(lock_path(self.number));
        }
    }
}

/// `None`: another run has it. `Some(None)`: locks cannot be had here, the bind must do.
fn lock_file(number: u16) -> Option<Option<File>> {
    let path = lock_path(number);
    let _ = path.parent().map(fs::create_dir_all);
    let Ok(file) = File::options().create(true).append(true).open(&path) else {
        return Some(None);
    };
    match file.try_lock() {
        // Not if its owner removed it after we had opened it: the next comer would make a new one.
        Ok(()) => is_still_there(&file, &path).then_some(Some(file)),
        Err(fs::TryLockError::WouldBlock) => None,
        Err(fs::TryLockError::Error(_)) => Some(None),
    }
}

fn is_still_there(file: &File, path: &Path) -> bool {
    let inode = |meta: fs::Metadata| meta.ino();
    matches!((file.metadata().map(inode), path.metadata().map(inode)), (Ok(a), Ok(b)) if a == b)
}

fn lock_path(number: u16) -> PathBuf {
    std::env::temp_dir().join("redis-patterns-ports").join(number.to_string())
}

/// Two runs that start at once should not walk the same way.
fn seed() -> u32 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.subsec_nanos().wrapping_mul(31).wrapping_add(process::id().wrapping_mul(2_654_435_761))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_not_given_twice() {
        let port = Port::any().unwrap();
        assert!(Port::take(port.number()).is_none(), "the lock holds while no server listens");
        let number = port.number();
        drop(port);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, number)).unwrap();
        assert!(Port::take(number).is_none(), "somebody listens there");
        drop(listener);
    }

    #[test]
    fn a_run_of_ports_is_in_a_row() {
        let ports = Port::run(6).unwrap();
        let first = ports[0].number();
        let numbers: Vec<u16> = ports.iter().map(Port::number).collect();
        assert_eq!(numbers, (first..first + 6).collect::<Vec<_>>());
    }
}
