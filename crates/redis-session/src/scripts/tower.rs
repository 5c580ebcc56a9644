//! Those of tower-sessions.

use bytes::Bytes;
use redis_patterns_core::{Args, Error, Key, Redis, Script, Token, script};
use std::time::Duration;

static CREATE: Script = script!("session/tower_create", "tower_create.lua");
static PATCH: Script = script!("session/tower_patch", "tower_patch.lua");
static DELETE: Script = script!("session/tower_delete", "tower_delete.lua");

const EXPIRY: &str = "expiry";
/// Before the name of a key of the data, which so meets no other field.
const DATA: &str = "=";

/// When a session ends: as text for the application, and how far off that is.
#[derive(Debug)]
pub(crate) struct Ends {
    pub(crate) text: String,
    pub(crate) ttl: Duration,
}

/// What a request changed.
#[derive(Debug)]
pub(crate) struct Patch {
    pub(crate) set: Vec<(String, Bytes)>,
    pub(crate) removed: Vec<String>,
    /// Whether fields that are not named stay.
    pub(crate) keeps_others: bool,
}

/// What stands in a session's place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Empty,
    Session {
        expiry: Bytes,
        data: Vec<(String, Bytes)>,
    },
    /// How many requests ended it.
    Deleted(usize),
}

fn add(args: Args, fields: &[(String, Bytes)]) -> Args {
    fields.iter().fold(args, |args, (name, value)| args.bytes(format!("{DATA}{name}")).shared(value.clone()))
}

/// Whether the key was free and the session has begun.
pub(crate) async fn create(
    redis: &Redis,
    key: &Key,
    ends: &Ends,
    data: &[(String, Bytes)],
) -> Result<bool, Error> {
    redis.run(&CREATE, &[key], &add(Args::new().bytes(&ends.text).millis(ends.ttl), data)).await
}

/// Whether the session was there and has the change now.
pub(crate) async fn patch(redis: &Redis, key: &Key, ends: &Ends, patch: &Patch) -> Result<bool, Error> {
    let others = if patch.keeps_others { "keep" } else { "drop" };
    let args = Args::new().bytes(&ends.text).millis(ends.ttl).word(others);
    let last = i64::try_from(4 + 2 * patch.set.len()).unwrap_or(i64::MAX);
    let args = add(args.int(last), &patch.set);
    let args = patch.removed.iter().fold(args, |args, name| args.bytes(format!("{DATA}{name}")));
    redis.run(&PATCH, &[key], &args).await
}

/// Whether the session was there; that this deletion ended it stays known for `keep`.
pub(crate) async fn delete(
    redis: &Redis,
    key: &Key,
    deletion: &Token,
    keep: Duration,
) -> Result<bool, Error> {
    redis.run(&DELETE, &[key], &Args::new().bytes(deletion).millis(keep)).await
}

/// All fields of the key. A plain command.
pub(crate) async fn read(redis: &Redis, key: &Key) -> Result<Place, Error> {
    let fields: Vec<Bytes> = redis.command("HGETALL", &[key], &Args::new()).await?;
    if fields.is_empty() {
        return Ok(Place::Empty);
    }
    let (mut ends, mut data) = (None, Vec::new());
    for field in fields.chunks_exact(2) {
        if field[0] == EXPIRY {
            ends = Some(field[1].clone());
        } else if let Some(name) = data_name(&field[0]) {
            data.push((name, field[1].clone()));
        }
    }
    Ok(match ends {
        Some(expiry) => Place::Session { expiry, data },
        None => Place::Deleted(fields.len() / 2),
    })
}

fn data_name(field: &Bytes) -> Option<String> {
    Some(std::str::from_utf8(field).ok()?.strip_prefix(DATA)?.to_owned())
}
