//! RESP: the length of a frame, and a connection that sends one command at a time.

use std::io;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a server answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Nothing: a null of any kind.
    Nil,
    /// An integer.
    Int(i64),
    /// A status or a bulk string.
    Text(Vec<u8>),
    /// A list; also what RESP3 calls set, map or push.
    List(Vec<Reply>),
    /// A refusal, such as `ERR no such key`; only inside a list, elsewhere it is an [`io::Error`].
    Error(String),
}

impl Reply {
    /// The text of a status, bulk string or integer; empty for the rest.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Int(n) => n.to_string(),
            _ => String::new(),
        }
    }

    /// The items of a list; none for the rest.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        if let Self::List(items) = self { items } else { &[] }
    }
}

/// A connection for tests: RESP2, one command at a time, no retry.
#[derive(Debug)]
pub struct Conn {
    stream: TcpStream,
    buffer: Vec<u8>,
    address: String,
}

impl Conn {
    /// Connects to `host:port` or `redis://[user:password@]host:port`, and signs in if the URL says
    /// how.
    ///
    /// # Errors
    ///
    /// Nothing listens there, or the password is wrong.
    pub async fn connect(server: &str) -> io::Result<Self> {
        let server = Server::parse(server);
        let stream = TcpStream::connect(&server.address).await;
        let stream = stream.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", server.address)))?;
        stream.set_nodelay(true)?;
        let mut conn = Self { stream, buffer: Vec::new(), address: server.address };
        match (&server.user, &server.password) {
            (Some(user), Some(password)) => _ = conn.call(["AUTH", user, password]).await?,
            (None, Some(password)) => _ = conn.call(["AUTH", password]).await?,
            _ => {}
        }
        Ok(conn)
    }

    /// The `host:port` it is connected to.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Sends one command and waits for its reply.
    ///
    /// # Errors
    ///
    /// The connection broke, or the server refused; the text names the server and the command,
    /// never an argument.
    pub async fn call<A: AsRef<[u8]>>(&mut self, words: impl IntoIterator<Item = A>) -> io::Result<Reply> {
        let words: Vec<A> = words.into_iter().collect();
        let name =
            words.first().map(|w| String::from_utf8_lossy(w.as_ref()).into_owned()).unwrap_or_default();
        let failed = |text: &str| io::Error::other(format!("{}: {name}: {text}", self.address));
        self.stream.write_all(&encode(&words)).await.map_err(|e| failed(&e.to_string()))?;
        let reply = next(&mut self.stream, &mut self.buffer).await;
        match reply.map_err(|e| failed(&e.to_string()))? {
            Reply::Error(text) => Err(failed(&text)),
            reply => Ok(reply),
        }
    }

    /// Waits for one more reply without sending anything, as after MONITOR.
    ///
    /// # Errors
    ///
    /// The connection broke.
    pub async fn next(&mut self) -> io::Result<Reply> {
        next(&mut self.stream, &mut self.buffer).await
    }
}

async fn next(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Reply> {
    loop {
        if let Some(len) = frame_len(buffer)? {
            let (reply, _) = decode(buffer);
            buffer.drain(..len);
            return Ok(reply);
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the connection was closed before the reply",
            ));
        }
    }
}

/// A server's address and how to sign in, from `host:port` or a URL.
#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) address: String,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
}

impl Server {
    pub(super) fn parse(server: &str) -> Self {
        let rest = server.split_once("://").map_or(server, |(_, rest)| rest);
        let (userinfo, rest) = rest.rsplit_once('@').map_or((None, rest), |(u, rest)| (Some(u), rest));
        let address = rest.split(['/', '?']).next().unwrap_or(rest).to_owned();
        let (user, password) = match userinfo.map(|u| u.split_once(':').unwrap_or((u, ""))) {
            Some((user, password)) if !password.is_empty() => {
                (Some(user).filter(|u| !u.is_empty()), Some(password))
            }
            _ => (None, None),
        };
        Self { address, user: user.map(unescape), password: password.map(unescape) }
    }
}

/// Undoes the percent-encoding of a URL's user and password.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut parts = text.split('%');
    bytes.extend(parts.next().unwrap_or_default().bytes());
    for part in parts {
        match part.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                bytes.extend(part[2..].bytes());
            }
            None => bytes.extend(b"%".iter().copied().chain(part.bytes())),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A command as the server reads it.
#[must_use]
pub fn encode<A: AsRef<[u8]>>(words: &[A]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        let word = word.as_ref();
        out.extend(format!("${}\r\n", word.len()).bytes());
        out.extend(word);
        out.extend(b"\r\n");
    }
    out
}

/// The length of the first frame of `buffer`, RESP2 or RESP3, or `None` while it is not whole.
///
/// # Errors
///
/// The buffer does not start with a frame.
pub fn frame_len(buffer: &[u8]) -> io::Result<Option<usize>> {
    let (mut at, mut left) = (0, 1u64);
    while left > 0 {
        let Some(line) = line_len(&buffer[at..]) else {
            return Ok(None);
        };
        let head = &buffer[at..at + line];
        let count = || std::str::from_utf8(&head[1..]).ok().and_then(|t| t.parse::<i64>().ok());
        let malformed = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("no RESP: {:?}", head.escape_ascii().to_string()),
            )
        };
        at += line + 2;
        left -= 1;
        match head.first() {
            Some(b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(') => {}
            Some(b'$' | b'=' | b'!') => {
                let len = count().ok_or_else(malformed)?;
                at += usize::try_from(len).map_or(0, |len| len + 2);
            }
            Some(b'*' | b'~' | b'>') => {
                left += count().ok_or_else(malformed)?.max(0).unsigned_abs();
            }
            Some(b'%') => left += 2 * count().ok_or_else(malformed)?.max(0).unsigned_abs(),
            // Attributes come before the reply they belong to.
            Some(b'|') => left += 1 + 2 * count().ok_or_else(malformed)?.max(0).unsigned_abs(),
            _ => return Err(malformed()),
        }
        if at > buffer.len() {
            return Ok(None);
        }
    }
    Ok(Some(at))
}

/// The length of the first line without its CR LF.
pub(super) fn line_len(buffer: &[u8]) -> Option<usize> {
    buffer.windows(2).position(|w| w == b"\r\n")
}

/// Decodes a frame that is whole; answers what follows it too.
fn decode(buffer: &[u8]) -> (Reply, &[u8]) {
    let line = line_len(buffer).unwrap_or(buffer.len());
    let (head, rest) = (&buffer[..line], buffer.get(line + 2..).unwrap_or_default());
    let text = String::from_utf8_lossy(head.get(1..).unwrap_or_default()).into_owned();
    let count = text.parse::<usize>();
    match (head.first(), count) {
        (Some(b':'), _) => (Reply::Int(text.parse().unwrap_or_default()), rest),
        (Some(b'-'), _) => (Reply::Error(text), rest),
        (Some(b'$' | b'='), Ok(len)) => (Reply::Text(rest[..len].to_vec()), &rest[len + 2..]),
        (Some(b'*' | b'~' | b'>'), Ok(n)) => decode_list(n, rest),
        (Some(b'%'), Ok(n)) => decode_list(2 * n, rest),
        (Some(b'$' | b'*' | b'_'), _) => (Reply::Nil, rest),
        _ => (Reply::Text(text.into_bytes()), rest),
    }
}

fn decode_list(n: usize, mut rest: &[u8]) -> (Reply, &[u8]) {
    let mut items = Vec::new();
    for _ in 0..n {
        let (item, after) = decode(rest);
        items.push(item);
        rest = after;
    }
    (Reply::List(items), rest)
}
