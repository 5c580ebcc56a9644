//! The meaning of each failure that fred reports: did the operation run, and what to do.
//!
//! fred gives most server errors as `Unknown` with the text, so the first word decides.

use super::wire::Request;
use crate::error::{Error, ErrorKind, Executed};
use fred::error::{Error as FredError, ErrorKind as FredKind};
use std::time::Duration;

/// Texts by which fred says that nothing was written to a socket.
const NOT_WRITTEN: [&str; 5] = [
    "Connection closed unexpectedly.",
    "Failed to route command.",
    "Too many failed write attempts.",
    "Client is not initialized.",
    "Failed to send command to router.",
];

/// Server answers given before anything ran.
const REFUSED: [&str; 16] = [
    "TRYAGAIN",
    "CLUSTERDOWN",
    "LOADING",
    "READONLY",
    "MASTERDOWN",
    "NOREPLICAS",
    "MISCONF",
    "BUSY",
    "NOSCRIPT",
    "OOM",
    "NOPERM",
    "CROSSSLOT",
    "MOVED",
    "ASK",
    "UNBLOCKED",
    "DENIED",
];

/// Classifies what came back for one request.
pub(super) fn call(request: Request<'_>, deadline: Duration, error: FredError) -> Error {
    let operation = request.operation();
    let details = error.details();
    let make = |kind, executed, what: String| Error::new(kind, executed, operation, what);
    if NOT_WRITTEN.contains(&details) || *error.kind() == FredKind::Backpressure {
        return make(ErrorKind::NotSent, Executed::No, "there is no usable connection to Redis".into())
            .with_next("the client reconnects by itself; try again after a moment")
            .with_source(error);
    }
    // A server's error starts with a word in capitals; what else has no kind is fred's own, such as
    // "channel closed" for a request that it dropped when a node died. It may have been written.
    let code = details.split_whitespace().next().unwrap_or_default();
    if *error.kind() == FredKind::Unknown && !is_server_code(code) {
        return make(
            ErrorKind::ConnectionLost,
            Executed::Maybe,
            "the connection was lost before the reply".into(),
        )
        .with_next(ASK_AGAIN)
        .with_source(error);
    }
    match error.kind() {
        FredKind::Timeout => {
            make(ErrorKind::Timeout, Executed::Maybe, format!("no reply within {deadline:?}"))
                .with_next(ASK_AGAIN)
                .with_source(error)
        }
        FredKind::IO | FredKind::Canceled | FredKind::Protocol | FredKind::Parse => make(
            ErrorKind::ConnectionLost,
            Executed::Maybe,
            "the connection was lost before the reply".into(),
        )
        .with_next(ASK_AGAIN)
        .with_source(error),
        FredKind::Routing => make(ErrorKind::NotSent, Executed::No, "no node serves the key's slot".into())
            .with_next("the client reads the slot map again by itself; try again after a moment")
            .with_source(error),
        _ => server(request, details),
    }
}

fn is_server_code(word: &str) -> bool {
    !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

const ASK_AGAIN: &str = "read the state, or ask again with the same request token";

/// How a server that is no node of a cluster answers `CLUSTER SLOTS`.
const NO_CLUSTER: &str = "cluster support disabled";

fn no_cluster(place: &str) -> Error {
    Error::new(ErrorKind::Config, Executed::No, "connect", format!("{place} is not a cluster"))
        .with_next("use redis:// instead of redis-cluster://")
}

/// Classifies an error that the server answered.
fn server(request: Request<'_>, details: &str) -> Error {
    let operation = request.operation();
    let code = details.split_whitespace().next().unwrap_or("ERR");
    let text = safe(details);
    // A server that names the script's line stopped it half way; what it wrote before stays.
    let stopped_half_way = details.contains("user_script:") || details.contains("script: ");
    if matches!(request, Request::Script { .. }) && stopped_half_way {
        return Error::new(
            ErrorKind::Script,
            Executed::Maybe,
            operation,
            format!("the script stopped: {text}"),
        )
        .with_code(code)
        .with_next("this is a bug, or a key holds a value of another type; please report it");
    }
    if details.contains(NO_CLUSTER) {
        return no_cluster("the server");
    }
    let executed = match request {
        _ if REFUSED.contains(&code) => Executed::No,
        Request::Script { .. } if code != "ERR" && code != "NOAUTH" => Executed::Maybe,
        _ => Executed::No,
    };
    let kind = if matches!(code, "NOAUTH" | "WRONGPASS") { ErrorKind::Auth } else { ErrorKind::Server };
    Error::new(kind, executed, operation, format!("Redis answered: {text}"))
        .with_code(code)
        .with_next(next_step(code))
}

fn next_step(code: &str) -> &'static str {
    match code {
        "OOM" => "the server is at its maxmemory; free or add memory, and set maxmemory-policy noeviction",
        "READONLY" => "this node is a replica now; the client finds the new primary by itself, try again",
        "CLUSTERDOWN" | "MASTERDOWN" => "a failover is going on; try again after a moment",
        "TRYAGAIN" | "MOVED" | "ASK" => "the slot is moving to another node; try again after a moment",
        "LOADING" => "the server reads its data from disk; try again after a moment",
        "MISCONF" => "the server cannot write to its disk; see its log",
        "NOREPLICAS" => "too few replicas are connected for min-replicas-to-write",
        "NOPERM" => "grant the user this command and these keys with ACL SETUSER",
        "NOAUTH" | "WRONGPASS" => "check the user name and the password in the URL",
        "BUSY" => "a script runs for too long on the server; see SLOWLOG",
        "WRONGTYPE" => "a key holds a value of another type; give this application a namespace of its own",
        _ => "",
    }
}

/// The server's text without what it may quote of the command.
fn safe(details: &str) -> String {
    let text = details.split(", with args beginning with").next().unwrap_or(details);
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// Classifies a failure to connect to `place` (host and port, never a password).
pub(super) fn connect(place: &str, deadline: Duration, error: FredError) -> Error {
    let details = error.details();
    let make = |kind, what: String| Error::new(kind, Executed::No, "connect", what);
    if details.starts_with("NOAUTH") || details.starts_with("WRONGPASS") || *error.kind() == FredKind::Auth {
        return make(ErrorKind::Auth, format!("{place} refused the user name or password")).with_next(
            "put them into the URL as redis://user:password@host:port, special characters as %XX",
        );
    }
    if details.contains(NO_CLUSTER) {
        return no_cluster(place);
    }
    if matches!(error.kind(), FredKind::Protocol | FredKind::Parse) {
        return make(ErrorKind::Connect, format!("what answers on {place} is not Redis"))
            .with_next("check the port in the URL")
            .with_source(error);
    }
    if details.starts_with("LOADING") {
        return make(ErrorKind::Connect, format!("{place} is still reading its data from disk"))
            .with_next("try again after a moment");
    }
    let what = match error.kind() {
        FredKind::Timeout => format!("nothing on {place} answered like Redis within {deadline:?}"),
        // The client gives these as the debug text of an operating system's error.
        _ if details.contains("ConnectionRefused") => format!("nothing listens on {place}"),
        FredKind::IO => format!("cannot reach {place}"),
        _ => format!("cannot connect to {place} ({})", safe(details)),
    };
    make(ErrorKind::Connect, what)
        .with_next("check the host and port, and that redis-server runs there")
        .with_source(error)
}
