//! Moves the frames of one connection and carries out what the plan says about each.

use super::Shared;
use super::plan::Action;
use crate::faults::resp::{frame_len, line_len};
use bytes::BytesMut;
use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, PoisonError};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// The requests of one connection that have no reply yet. Those left at its end are counted as
/// unanswered, before the client can see that end.
struct Pending<'a> {
    shared: &'a Shared,
    queue: Mutex<VecDeque<Action>>,
}

impl Pending<'_> {
    fn with<T>(&self, f: impl FnOnce(&mut VecDeque<Action>) -> T) -> T {
        f(&mut self.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let left = self.with(|queue| queue.len());
        self.shared.plan().counts.unanswered += left;
    }
}

/// Serves one client until either side closes or a fault cuts it.
///
/// # Errors
///
/// A side broke its connection or sent no RESP; the connection is over either way.
pub(super) async fn run(mut client: TcpStream, shared: &Shared, epoch: u64) -> io::Result<()> {
    let mut server = TcpStream::connect(&shared.server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    // Dropped before the sockets, so that the counts are right when the client sees the end.
    let pending = Pending { shared, queue: Mutex::default() };
    tokio::select! {
        end = requests(from_client, to_server, &pending, epoch) => end,
        end = replies(from_server, to_client, &pending, epoch) => end,
    }
}

async fn requests(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    pending: &Pending<'_>,
    epoch: u64,
) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        while let Some(len) = request_len(&buffer)? {
            let frame = buffer.split_to(len);
            pending.shared.hold().await;
            let action = pending.shared.plan().request(&command_name(&frame));
            if action == Action::CutInsideRequest {
                to.write_all(&frame[..len / 2]).await?;
                pending.shared.plan().cut(epoch);
                return Ok(());
            }
            pending.with(|queue| queue.push_back(action));
            to.write_all(&frame).await?;
        }
        if from.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

async fn replies(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    pending: &Pending<'_>,
    epoch: u64,
) -> io::Result<()> {
    let shared = pending.shared;
    let mut buffer = BytesMut::new();
    loop {
        while let Some(len) = frame_len(&buffer)? {
            let frame = buffer.split_to(len);
            shared.hold().await;
            let front = pending.with(|queue| queue.front().copied());
            let (Some(action), false) = (front, frame[0] == b'>') else {
                // A push message, or one of a subscriber: nobody asked for it.
                to.write_all(&frame).await?;
                continue;
            };
            let cut = shared.plan().reply(action, len);
            let passed = cut.unwrap_or(len);
            if passed == len {
                pending.with(VecDeque::pop_front);
            }
            if cut.is_some() {
                shared.plan().cut(epoch);
            }
            write(&mut to, &frame[..passed], shared).await?;
            if cut.is_some() {
                return Ok(());
            }
        }
        if from.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
    }
}

async fn write(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8], shared: &Shared) -> io::Result<()> {
    let slice = shared.plan().slice;
    if slice == 0 {
        return to.write_all(bytes).await;
    }
    shared.plan().counts.sliced += 1;
    for part in bytes.chunks(slice) {
        to.write_all(part).await?;
        // Lets a client on this runtime read the part before the next comes.
        tokio::task::yield_now().await;
    }
    Ok(())
}

impl Shared {
    /// Waits as long as a delay or a stall says.
    async fn hold(&self) {
        let delay = self.plan().delay;
        if !delay.is_zero() {
            self.plan().counts.delayed += 1;
            tokio::time::sleep(delay).await;
        }
        let mut gate = self.gate.subscribe();
        if gate.borrow().stalled {
            self.plan().counts.stalled += 1;
            // The sender is in `self`, so this ends only when the stall does.
            _ = gate.wait_for(|gate| !gate.stalled).await;
        }
    }
}

/// The length of the first request: an array, or a line from somebody who types.
fn request_len(buffer: &[u8]) -> io::Result<Option<usize>> {
    match buffer.first() {
        None | Some(b'*') => frame_len(buffer),
        Some(_) => Ok(line_len(buffer).map(|len| len + 2)),
    }
}

/// The first word of a request.
fn command_name(frame: &[u8]) -> String {
    let text = String::from_utf8_lossy(&frame[..frame.len().min(64)]).into_owned();
    let word = if text.starts_with('*') { text.split("\r\n").nth(2) } else { text.split_whitespace().next() };
    word.unwrap_or_default().to_owned()
}
