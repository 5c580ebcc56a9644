//! A tiny blocking RESP2 client for set-up and for looking at servers. Not for load, no TLS.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::Error;

/// How long a connection waits for a server's answer unless told otherwise.
pub(super) const ANSWER: Duration = Duration::from_secs(5);
/// No reply of an admin command is larger; a port that is no Redis may claim anything.
const LARGEST: i64 = 64 << 20;

/// A connection to one server.
#[derive(Debug)]
pub struct Conn {
    stream: BufReader<TcpStream>,
    address: String,
}

/// What a server answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// No value.
    Nil,
    /// A number.
    Int(i64),
    /// A short status such as `OK`.
    Status(String),
    /// Bytes.
    Bulk(Vec<u8>),
    /// Several replies; an error within is kept as its text.
    Array(Vec<Reply>),
}

impl Conn {
    /// Connects to `host:port`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when nothing answers there within `timeout`.
    pub fn connect(address: &str, timeout: Duration) -> Result<Self, Error> {
        let failed = |source| Error::io(format!("cannot connect to {address}"), source);
        let mut last = std::io::Error::other("the name has no address");
        for target in address.to_socket_addrs().map_err(failed)? {
            match TcpStream::connect_timeout(&target, timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(failed)?;
                    let conn = Self { stream: BufReader::new(stream), address: address.to_owned() };
                    conn.set_timeout(ANSWER)?;
                    return Ok(conn);
                }
                Err(error) => last = error,
            }
        }
        Err(failed(last))
    }

    /// Sets how long to wait for an answer; 5 s unless set.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] for a duration of zero.
    pub fn set_timeout(&self, timeout: Duration) -> Result<(), Error> {
        let stream = self.stream.get_ref();
        stream
            .set_read_timeout(Some(timeout))
            .and_then(|()| stream.set_write_timeout(Some(timeout)))
            .map_err(|source| Error::io("cannot set a socket timeout", source))
    }

    /// Logs in; `username` is for servers with ACL users.
    ///
    /// # Errors
    ///
    /// [`Error::Server`] with `WRONGPASS` when the password is wrong.
    pub fn auth(&mut self, username: Option<&str>, password: &str) -> Result<(), Error> {
        match username {
            Some(username) => self.cmd(&["AUTH", username, password]),
            None => self.cmd(&["AUTH", password]),
        }
        .map(drop)
    }

    /// Sends one command and reads its answer.
    ///
    /// # Errors
    ///
    /// [`Error::Server`] when the server answers with an error, [`Error::Io`] when it does not
    /// answer in time or in this protocol. After an `Io` error the connection is of no more use.
    pub fn cmd(&mut self, words: &[&str]) -> Result<Reply, Error> {
        let name = words.first().copied().unwrap_or_default();
        let failed = |source| Error::io(format!("{name} to {}", self.address), source);
        let mut frame = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            frame.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
        }
        self.stream.get_mut().write_all(&frame).map_err(failed)?;
        let failed = |source| Error::io(format!("answer to {name} from {}", self.address), source);
        match read(&mut self.stream).map_err(failed)? {
            Ok(reply) => Ok(reply),
            Err(text) => Err(Error::Server { command: name.to_owned(), text }),
        }
    }

    /// One field of INFO, such as `master_link_status`; empty when the server has no such field.
    ///
    /// # Errors
    ///
    /// As [`Conn::cmd`].
    pub fn info(&mut self, section: &str, field: &str) -> Result<String, Error> {
        let text = self.cmd(&["INFO", section])?.text();
        Ok(field_of(&text, field).unwrap_or_default().to_owned())
    }
}

impl Reply {
    /// The reply as text: numbers in decimal, nothing for nil, arrays joined by spaces.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Nil => String::new(),
            Self::Int(number) => number.to_string(),
            Self::Status(text) => text.clone(),
            Self::Bulk(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Self::Array(items) => items.iter().map(Self::text).collect::<Vec<_>>().join(" "),
        }
    }

    /// The number, also when it came as text.
    #[must_use]
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            other => other.text().parse().ok(),
        }
    }

    /// The items of an array; none for any other reply.
    #[must_use]
    pub fn items(&self) -> &[Reply] {
        match self {
            Self::Array(items) => items,
            _ => &[],
        }
    }

    /// Whether the server had no value.
    #[must_use]
    pub fn is_nil(&self) -> bool {
        *self == Self::Nil
    }
}

/// The value of `field` in text of `field:value` lines, as INFO and CLUSTER INFO answer.
pub(super) fn field_of<'a>(text: &'a str, field: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':').map(str::trim))
}

fn read(stream: &mut impl BufRead) -> std::io::Result<Result<Reply, String>> {
    let line = read_line(stream)?;
    let (kind, rest) = line.split_at_checked(1).ok_or_else(|| foreign(&line))?;
    let number = || rest.parse::<i64>().ok().filter(|n| *n <= LARGEST).ok_or_else(|| foreign(&line));
    Ok(Ok(match kind {
        "+" => Reply::Status(rest.to_owned()),
        "-" => return Ok(Err(rest.to_owned())),
        ":" => Reply::Int(rest.parse().map_err(|_| foreign(&line))?),
        "$" => match usize::try_from(number()?) {
            Ok(length) => Reply::Bulk(read_bulk(stream, length)?),
            Err(_) => Reply::Nil,
        },
        "*" => match usize::try_from(number()?) {
            Ok(length) => Reply::Array(
                (0..length)
                    .map(|_| Ok(read(stream)?.unwrap_or_else(Reply::Status)))
                    .collect::<std::io::Result<_>>()?,
            ),
            Err(_) => Reply::Nil,
        },
        _ => return Err(foreign(&line)),
    }))
}

fn read_line(stream: &mut impl BufRead) -> std::io::Result<String> {
    let mut line = Vec::new();
    stream.take(64 << 10).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(std::io::ErrorKind::UnexpectedEof.into());
    }
    Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
}

fn read_bulk(stream: &mut impl BufRead, length: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; length + 2];
    stream.read_exact(&mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}

fn foreign(line: &str) -> std::io::Error {
    let shown: String = line.chars().take(40).collect();
    std::io::Error::new(
        std::io::ErrorKind::InvalidData,
        format!("this port does not speak the Redis protocol; it said {shown:?}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(bytes: &[u8]) -> std::io::Result<Result<Reply, String>> {
        read(&mut BufReader::new(bytes))
    }

    #[test]
    fn every_kind_of_reply_is_read() {
        assert_eq!(parse(b"+OK\r\n").unwrap(), Ok(Reply::Status("OK".into())));
        assert_eq!(parse(b":-7\r\n").unwrap(), Ok(Reply::Int(-7)));
        assert_eq!(parse(b"$3\r\na\r\n\r\n").unwrap(), Ok(Reply::Bulk(b"a\r\n".to_vec())));
        assert_eq!(parse(b"$-1\r\n").unwrap(), Ok(Reply::Nil));
        assert_eq!(parse(b"-ERR no\r\n").unwrap(), Err("ERR no".into()));
        let array = Reply::Array(vec![Reply::Int(1), Reply::Array(vec![])]);
        assert_eq!(parse(b"*2\r\n:1\r\n*0\r\n").unwrap(), Ok(array));
    }

    #[test]
    fn another_protocol_is_named() {
        let error = parse(b"HTTP/1.1 400 Bad Request\r\n").unwrap_err();
        assert!(error.to_string().contains("does not speak the Redis protocol"), "{error}");
        assert!(parse(b"").is_err());
        assert!(parse(b"$99999999999\r\n").is_err());
    }
}
