//! The world outside Redis: a resource that checks fences, and a board where clients meet.
//!
//! One line asks, one line answers:
//! - `read NAME FENCE` answers the value and seals the fence, or `stale`
//! - `write NAME FENCE READ` answers `done` or `stale`; READ is the value that the writer had read
//! - `put TEXT` pins TEXT, `pick N` answers one of those pinned, or nothing

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// Sessions on the board; older ones make room.
const BOARD: usize = 48;

/// Whether the resource refuses what comes with a lower fence than it has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fences {
    Checked,
    Ignored,
}

/// What the resource has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) accepted: u64,
    pub(crate) refused: u64,
    /// Accepted writes under a fence below the highest.
    pub(crate) inversions: u64,
    /// Accepted writes over a value that the writer had not read.
    pub(crate) lost_updates: u64,
}

#[derive(Debug, Default)]
struct Item {
    highest: u64,
    value: u64,
}

#[derive(Debug)]
struct World {
    fences: Fences,
    items: HashMap<String, Item>,
    board: Vec<String>,
    pinned: usize,
    seen: Seen,
}

/// The oracle's server; gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Oracle {
    world: Arc<Mutex<World>>,
    address: SocketAddr,
    serving: AbortHandle,
}

impl Oracle {
    pub(crate) async fn start(fences: Fences) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let world =
            World { fences, items: HashMap::new(), board: Vec::new(), pinned: 0, seen: Seen::default() };
        let world = Arc::new(Mutex::new(world));
        let shared = world.clone();
        let accept = async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, shared.clone()));
            }
        };
        Ok(Self { world, address, serving: tokio::spawn(accept).abort_handle() })
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn seen(&self) -> Seen {
        lock(&self.world).seen
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(stream: TcpStream, world: Arc<Mutex<World>>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await? {
        let answer = lock(&world).answer(&line);
        write.write_all(format!("{answer}\n").as_bytes()).await?;
    }
    Ok(())
}

impl World {
    fn answer(&mut self, line: &str) -> String {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok()).unwrap_or_default();
        match words[..] {
            ["read", name, _] => self.read(name, number(2)),
            ["write", name, _, _] => self.write(name, number(2), number(3)),
            ["pick", _] if self.board.is_empty() => String::new(),
            ["pick", _] => {
                self.board[usize::try_from(number(1)).unwrap_or_default() % self.board.len()].clone()
            }
            ["put", ..] => self.put(line.trim_start_matches("put ")),
            _ => "what?".to_owned(),
        }
    }

    fn read(&mut self, name: &str, fence: u64) -> String {
        let item = self.items.entry(name.to_owned()).or_default();
        if self.fences == Fences::Checked && fence < item.highest {
            self.seen.refused += 1;
            return "stale".to_owned();
        }
        item.highest = item.highest.max(fence);
        item.value.to_string()
    }

    fn write(&mut self, name: &str, fence: u64, read: u64) -> String {
        let item = self.items.entry(name.to_owned()).or_default();
        if fence < item.highest {
            if self.fences == Fences::Checked {
                self.seen.refused += 1;
                return "stale".to_owned();
            }
            self.seen.inversions += 1;
        }
        self.seen.lost_updates += u64::from(item.value != read);
        self.seen.accepted += 1;
        item.highest = item.highest.max(fence);
        item.value += 1;
        "done".to_owned()
    }

    fn put(&mut self, text: &str) -> String {
        if self.board.len() < BOARD {
            self.board.push(text.to_owned());
        } else {
            self.board[self.pinned % BOARD] = text.to_owned();
        }
        self.pinned += 1;
        "done".to_owned()
    }
}

/// A client's line to the oracle.
#[derive(Debug)]
pub(crate) struct Line {
    stream: BufReader<TcpStream>,
}

impl Line {
    pub(crate) async fn to(address: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    pub(crate) async fn ask(&mut self, line: &str) -> io::Result<String> {
        self.stream.write_all(format!("{line}\n").as_bytes()).await?;
        let mut answer = String::new();
        match self.stream.read_line(&mut answer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(answer.trim_end().to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(fences: Fences) -> World {
        World { fences, items: HashMap::new(), board: Vec::new(), pinned: 0, seen: Seen::default() }
    }

    #[test]
    fn a_stale_write_is_refused_and_an_unchecked_one_loses_an_update() {
        let mut checked = world(Fences::Checked);
        let lines = ["read a 1", "read a 2", "write a 2 0", "write a 1 0", "read a 3", "write a 3 1"];
        let answers: Vec<String> = lines.iter().map(|line| checked.answer(line)).collect();
        assert_eq!(answers, ["0", "0", "done", "stale", "1", "done"]);
        assert_eq!(checked.seen, Seen { accepted: 2, refused: 1, inversions: 0, lost_updates: 0 });
        let mut ignored = world(Fences::Ignored);
        lines.iter().for_each(|line| drop(ignored.answer(line)));
        assert_eq!(ignored.seen, Seen { accepted: 3, refused: 0, inversions: 1, lost_updates: 2 });
    }
}
