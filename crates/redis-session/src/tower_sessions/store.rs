//! The store.

use super::data::{self, Data};
use crate::keys;
use crate::scripts::tower::{self, Ends, Place};
use crate::telemetry::{Outcome, told};
use async_trait::async_trait;
use redis_patterns_core::{Error, ErrorKind, Executed, Key, Redis, Token, until_answered};
use std::time::Duration;
use time::OffsetDateTime;

/// How long it stays known who ended a session: longer than a request takes.
const DELETIONS_KEPT: Duration = Duration::from_secs(5 * 60);
/// Two random ids of 128 bits do not meet; more than this is a broken source of random numbers.
const TRIES: u32 = 3;

/// What a save does when its session has ended meanwhile. Nothing is written in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenGone {
    /// The request is answered as its handler says. The middleware sends the old cookie once more:
    /// if it reaches the browser after that of a log-in, the user is logged out.
    Ignore,
    /// The middleware answers 500 and sends no cookie.
    Fail,
}

/// Sessions of tower-sessions, one round trip each for a load, a save, a deletion and, unless the id
/// was cycled, a creation; cheap to clone.
///
/// ```no_run
/// # #[cfg(feature = "tower-sessions")]
/// # async fn example(redis: redis_session::Redis) {
/// use axum::{Router, routing::get};
/// use redis_session::tower_sessions::RedisStore;
/// use tower_sessions::{Expiry, Session, SessionManagerLayer};
///
/// let sessions = SessionManagerLayer::new(RedisStore::new(redis))
///     .with_expiry(Expiry::OnInactivity(time::Duration::minutes(30)));
/// let visits = get(async |session: Session| {
///     let visits = session.get::<u64>("visits").await.unwrap().unwrap_or_default() + 1;
///     session.insert("visits", visits).await.unwrap();
///     visits.to_string()
/// });
/// let app: Router = Router::new().route("/", visits).layer(sessions);
/// # }
/// ```
///
/// # Only a change prolongs a session
///
/// As tower-sessions has it: a request that changes nothing does not move the end. With
/// `with_always_save(true)` every request does, at one round trip more; what it writes is the end
/// alone, so that it overwrites nobody's change.
///
/// # Errors
///
/// Those of tower-sessions; none holds an id, a key or a value. `create` fails for a cycled id whose
/// session was ended by somebody else, or has expired, since it was loaded.
#[derive(Clone, Debug)]
pub struct RedisStore {
    redis: Redis,
    when_gone: WhenGone,
}

impl RedisStore {
    /// A store in the namespace of the handle.
    #[must_use]
    pub fn new(redis: Redis) -> Self {
        Self { redis, when_gone: WhenGone::Ignore }
    }

    /// What a save does when its session has ended meanwhile; ignored unless set, as other stores do.
    #[must_use]
    pub fn when_gone(self, when_gone: WhenGone) -> Self {
        Self { when_gone, ..self }
    }

    fn key(&self, id: i128) -> Key {
        keys::tower_session(self.redis.namespace(), id)
    }

    async fn read(&self, id: i128) -> Result<Place, Error> {
        let key = self.key(id);
        until_answered(|| tower::read(&self.redis, &key)).await
    }

    /// Begins the session under one of the ids, which then marks the data.
    async fn create_as(
        &self,
        mut id: i128,
        another: fn() -> i128,
        data: &mut Data,
        expiry: OffsetDateTime,
    ) -> Result<i128, Error> {
        if let Some(found) = data::found(data) {
            self.refuse_unless_ended_here(found.id).await?;
        }
        let (whole, ends) = (data::whole(data)?, ends(expiry));
        for _ in 0..TRIES {
            if tower::create(&self.redis, &self.key(id), &ends, &whole).await? {
                data::mark(id, data);
                return Ok(id);
            }
            id = another();
        }
        let what = "new random ids were taken: the random numbers of this machine repeat";
        Err(Error::new(ErrorKind::Config, Executed::No, "session/tower_create", what))
    }

    /// `cycle_id` ends the old session and then creates the new one. If anybody else ended it too,
    /// that was a log-out.
    async fn refuse_unless_ended_here(&self, cycled: i128) -> Result<(), Error> {
        match self.read(cycled).await? {
            Place::Deleted(1) => Ok(()),
            Place::Deleted(_) | Place::Empty | Place::Session { .. } => Err(gone("session/tower_create")),
        }
    }

    /// Whether the session was there.
    async fn save_as(&self, id: i128, data: &Data, expiry: OffsetDateTime) -> Result<bool, Error> {
        let changes = data::changes(data)?;
        tower::patch(&self.redis, &self.key(id), &ends(expiry), &changes).await
    }

    fn answer_to(&self, saved: Result<bool, Error>) -> Result<(), Error> {
        match (saved?, self.when_gone) {
            (false, WhenGone::Fail) => Err(gone("session/tower_patch")),
            (true, _) | (false, WhenGone::Ignore) => Ok(()),
        }
    }

    async fn load_as(&self, id: i128) -> Result<Option<(Data, OffsetDateTime)>, Error> {
        match self.read(id).await? {
            Place::Session { expiry, data } => {
                let mut data = data::open(data)?;
                data::mark(id, &mut data);
                Ok(Some((data, parse(&expiry)?)))
            }
            Place::Empty | Place::Deleted(_) => Ok(None),
        }
    }

    /// Runs to its end although the request is dropped: a log-out happens.
    async fn delete_as(&self, id: i128) -> Result<bool, Error> {
        let (redis, key, deletion) = (self.redis.clone(), self.key(id), Token::random()?);
        let deleted = self.redis.detach(async move {
            until_answered(|| tower::delete(&redis, &key, &deletion, DELETIONS_KEPT)).await
        });
        let stopped = |_| {
            let what = "the runtime is shutting down";
            Error::new(ErrorKind::Closed, Executed::Maybe, "session/tower_delete", what)
        };
        deleted.await.map_err(stopped)?
    }
}

fn gone(operation: &'static str) -> Error {
    Error::new(ErrorKind::Input, Executed::No, operation, "the session has ended meanwhile")
}

/// What is left until then by this machine's clock: the server counts it down by its own.
fn ends(expiry: OffsetDateTime) -> Ends {
    let left = expiry - OffsetDateTime::now_utc();
    Ends { text: expiry.unix_timestamp_nanos().to_string(), ttl: left.try_into().unwrap_or_default() }
}

fn parse(expiry: &[u8]) -> Result<OffsetDateTime, Error> {
    let nanos = std::str::from_utf8(expiry).ok().and_then(|text| text.parse().ok());
    nanos
        .and_then(|nanos| OffsetDateTime::from_unix_timestamp_nanos(nanos).ok())
        .ok_or_else(|| Error::codec("session/tower_read", "the stored session has no expiry"))
}

/// Both versions of the trait have the same text and are different traits.
macro_rules! session_store {
    ($core:ident) => {
        const _: () = {
            use $core::SessionStore;
            use $core::session::{Id, Record};
            use $core::session_store::{Error as StoreError, Result};

            fn failed(codec: fn(String) -> StoreError) -> impl FnOnce(Error) -> StoreError {
                move |error| match error.kind() {
                    ErrorKind::Codec => codec(error.to_string()),
                    _ => StoreError::Backend(error.to_string()),
                }
            }

            #[async_trait]
            impl SessionStore for RedisStore {
                async fn create(&self, record: &mut Record) -> Result<()> {
                    let (id, expiry) = (record.id.0, record.expiry_date);
                    let call = self.create_as(id, || Id::default().0, &mut record.data, expiry);
                    let created = told!("tower_create", call, |_| Outcome::Done);
                    record.id = Id(created.map_err(failed(StoreError::Encode))?);
                    Ok(())
                }

                async fn save(&self, record: &Record) -> Result<()> {
                    let call = self.save_as(record.id.0, &record.data, record.expiry_date);
                    let saved = told!("tower_save", call, |written| Outcome::of(*written));
                    self.answer_to(saved).map_err(failed(StoreError::Encode))
                }

                async fn load(&self, id: &Id) -> Result<Option<Record>> {
                    let loaded =
                        told!("tower_load", self.load_as(id.0), |found| Outcome::of(found.is_some()));
                    let loaded = loaded.map_err(failed(StoreError::Decode))?;
                    Ok(loaded.map(|(data, expiry_date)| Record { id: *id, data, expiry_date }))
                }

                async fn delete(&self, id: &Id) -> Result<()> {
                    let deleted = told!("tower_delete", self.delete_as(id.0), |there| Outcome::of(*there));
                    deleted.map(drop).map_err(failed(StoreError::Backend))
                }
            }
        };
    };
}

#[cfg(feature = "tower-sessions")]
session_store!(tower_sessions_core);
#[cfg(feature = "tower-sessions-014")]
session_store!(tower_sessions_core_014);
