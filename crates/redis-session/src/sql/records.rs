//! What the table says of one session.

use crate::id::SessionRef;
use std::time::{Duration, SystemTime};

/// What became of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It was not ended, and its time is not over.
    Active,
    /// It was not used for its idle time, or its deadline came.
    Expired,
    /// It was ended.
    Revoked,
    /// It has this id now.
    Rotated(SessionRef),
}

/// One session as it was recorded. Times are the database's, in whole seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionRecord {
    /// Which, as [`SessionId::reference`](crate::SessionId::reference) says.
    pub session: SessionRef,
    /// Whose; nobody's if `None`.
    pub user: Option<String>,
    /// What [`Login::device`](crate::Login::device) said.
    pub device: String,
    /// When it began; after a rotation, when the first id began.
    pub begun: SystemTime,
    /// When it ended or, if nothing else happens, ends.
    pub ends: SystemTime,
    /// What became of it.
    pub state: State,
}

/// A row: session, user, device, begun, ends, how it ended (`active`, `expired`, `revoked` or
/// `rotated`), and its successor.
pub(super) type Row = (String, Option<String>, String, i64, i64, String, Option<String>);

pub(super) fn record(
    (session, user, device, begun, ends, how, next): Row,
) -> Result<SessionRecord, sqlx::Error> {
    let state = match (how.as_str(), next) {
        ("active", _) => State::Active,
        ("expired", _) => State::Expired,
        ("revoked", _) => State::Revoked,
        ("rotated", Some(next)) => State::Rotated(reference(&next)?),
        _ => return Err(sqlx::Error::Decode("a session ends in another way than this version knows".into())),
    };
    Ok(SessionRecord {
        session: reference(&session)?,
        user,
        device,
        begun: time(begun),
        ends: time(ends),
        state,
    })
}

fn reference(text: &str) -> Result<SessionRef, sqlx::Error> {
    SessionRef::parse(text).ok_or_else(|| sqlx::Error::Decode("a session has 64 hexadecimal digits".into()))
}

fn time(seconds: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.max(0).unsigned_abs())
}
