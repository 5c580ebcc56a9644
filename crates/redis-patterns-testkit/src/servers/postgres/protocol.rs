//! As much of the Postgres protocol as tells whether a server takes connections.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::super::Error;

/// Speaks the first words of the protocol: a server that takes connections asks to log in or
/// lets us in, one that is still starting answers with an error.
pub(super) fn startup(url: &str) -> Result<(), Error> {
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

fn greet(target: &SocketAddr, user: &str, database: &str) -> std::io::Result<u8> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_url_are_found() {
        let own = |(a, b, c): (&str, &str, &str)| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(parts("postgres://u:p@h:1/d?x=y"), own(("u", "h:1", "d")));
        assert_eq!(parts("postgresql://h"), own(("postgres", "h:5432", "postgres")));
    }
}
