//! One-time tokens: magic links, e-mail verification, password reset.

use crate::binding::Binding;
use crate::error::Error;
use crate::id::OneTimeToken;
use crate::issue::Issue;
use crate::options::{Purpose, check_cool_down, check_ttl};
use crate::scripts::one_time::{self, Brought, Pace};
use crate::telemetry::{Outcome, told};
use crate::{keys, value};
#[cfg(feature = "json")]
use redis_patterns_core::Json;
use redis_patterns_core::{Codec, Redis, until_answered};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// Unless another is set: what a user waits for a mail before asking again.
const COOL_DOWN: Duration = Duration::from_secs(60);

/// Tokens of one purpose that hold a `T` and can be used once; cheap to clone. A subject, such as a
/// user's id, has one active token at most.
///
/// # Not by a GET
///
/// Mail scanners follow links. Let the link (GET) show a page, for which [`peek`](Self::peek) tells
/// whether the token is good, and [consume](Self::consume) it when the page's form is sent (POST).
/// Against scanners that send forms too, bind it to the [browser](Binding::browser) that asked.
///
/// # Unknown accounts
///
/// Whoever asks for a link must not learn from the answer whether there is an account: call
/// [`issue`](Self::issue) with the same kind of subject either way (such as the address typed), and
/// for an unknown one throw the token away. Round trip and cool-down are then the same.
///
/// ```no_run
/// # async fn example(redis: redis_session::Redis) -> Result<(), redis_session::Error> {
/// use redis_session::{Issue, OneTimeToken, OneTimeTokens, Purpose};
/// use std::time::Duration;
///
/// const RESET: Purpose = Purpose::new("password-reset");
/// let resets = OneTimeTokens::<u64>::new(redis, RESET, Duration::from_secs(15 * 60))?;
///
/// let Issue::Issued(token) = resets.issue("ann@example.com", &42).await? else { return Ok(()) };
/// let link = format!("https://example.com/reset?token={}", token.expose());
///
/// # let sent = link.rsplit('=').next().unwrap();
/// let token = OneTimeToken::parse(sent).unwrap();
/// assert_eq!(resets.peek(&token).await?, Some(42));
/// assert_eq!(resets.consume(&token).await?, Some(42));
/// assert_eq!(resets.consume(&token).await?, None);
/// # Ok(())
/// # }
/// ```
pub struct OneTimeTokens<T, #[cfg(feature = "json")] C = Json, #[cfg(not(feature = "json"))] C> {
    redis: Redis,
    purpose: Purpose,
    pace: Pace,
    codec: C,
    holds: PhantomData<fn(T) -> T>,
}

/// What came of bringing a token with what it is bound to. None of these says more about an account
/// than who brings the whole secret may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the value was given to this caller alone"]
pub enum Consumed<T> {
    /// It was good, and is spent now.
    Value(T),
    /// It was never issued, is spent, replaced by a later one, or has expired.
    Unknown,
    /// The [stamp](Binding::stamp) is another than when it was issued; the token stays.
    StampChanged,
    /// It was issued to another [browser](Binding::browser); the token stays for that one.
    OtherBrowser,
}

#[cfg(feature = "json")]
impl<T: Serialize + DeserializeOwned> OneTimeTokens<T> {
    /// Tokens for `purpose` that expire after `ttl`: at most 10 min for what goes by another
    /// channel at log-in (ASVS 5.0, 6.5.5), 15 to 60 min for links, a day to verify an address.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for a `ttl` below a millisecond or above 2^40 milliseconds.
    pub fn new(redis: Redis, purpose: Purpose, ttl: Duration) -> Result<Self, Error> {
        Self::with_codec(redis, purpose, ttl, Json)
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> OneTimeTokens<T, C> {
    /// The same with values in another encoding.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for a `ttl` below a millisecond or above 2^40 milliseconds.
    pub fn with_codec(redis: Redis, purpose: Purpose, ttl: Duration, codec: C) -> Result<Self, Error> {
        check_ttl(ttl, "the life of a token is 1 to 2^40 milliseconds")?;
        let pace = Pace { ttl, cool_down: COOL_DOWN.min(ttl) };
        Ok(Self { redis, purpose, pace, codec, holds: PhantomData })
    }

    /// How long after a token its subject's next one may follow, if it was not consumed meanwhile;
    /// 1 min unless set. It keeps others from filling a user's mail box and from voiding each link
    /// before it is read.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for more than the life of a token.
    pub fn cool_down(self, cool_down: Duration) -> Result<Self, Error> {
        check_cool_down(cool_down, self.pace.ttl)?;
        Ok(Self { pace: Pace { cool_down, ..self.pace }, ..self })
    }

    /// A new token of `subject` that holds `value`; the one before it is void. One round trip.
    ///
    /// # The subject is hashed without a key
    ///
    /// Who reads Redis can test whether a subject that they know of has an active token.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer or the value has no encoding.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a token that nobody knows may stay until it expires, and the cool-down runs.
    ///
    /// # If the reply is lost
    ///
    /// It is sent again, three times in all: the second run finds the token in its place.
    pub async fn issue(&self, subject: impl AsRef<[u8]>, value: &T) -> Result<Issue<OneTimeToken>, Error> {
        self.issue_bound(subject, value, &Binding::none()).await
    }

    /// The same, bound to a [stamp or a browser](Binding): whoever brings the token must bring the
    /// same binding. One round trip.
    ///
    /// # Errors
    ///
    /// As [`issue`](Self::issue).
    ///
    /// # Cancel safety
    ///
    /// As [`issue`](Self::issue).
    ///
    /// # If the reply is lost
    ///
    /// As [`issue`](Self::issue).
    pub async fn issue_bound(
        &self,
        subject: impl AsRef<[u8]>,
        value: &T,
        binding: &Binding,
    ) -> Result<Issue<OneTimeToken>, Error> {
        let token = OneTimeToken::random_at(&keys::token_place(self.purpose, subject.as_ref()))?;
        let (key, hash) = (self.key(&token), keys::token_hash(self.purpose, &token));
        let sealed = value::seal(&self.codec, value)?;
        let issue = || one_time::token_issue(&self.redis, &key, &hash, binding, sealed.clone(), self.pace);
        let call = async {
            Ok(match until_answered(issue).await? {
                None => Issue::Issued(token),
                Some(retry_after) => Issue::TooSoon { retry_after },
            })
        };
        told!("token_issue", call, Issue::outcome)
    }

    /// The value of the token if it is good, which it stays: for the page that a link shows. What
    /// it is bound to is not asked. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer, or what is stored is no `T`.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it changes nothing.
    ///
    /// # If the reply is lost
    ///
    /// It is sent again, three times in all.
    pub async fn peek(&self, token: &OneTimeToken) -> Result<Option<T>, Error> {
        let (key, hash) = (self.key(token), keys::token_hash(self.purpose, token));
        let call = async {
            let there = until_answered(|| one_time::token_peek(&self.redis, &key)).await?;
            let good = there.filter(|(stored, _)| stored.as_ref() == hash.as_ref());
            Ok(good.map(|(_, bytes)| value::open(&self.codec, bytes)).transpose()?)
        };
        told!("token_peek", call, |found| Outcome::of(found.is_some()))
    }

    /// The value of the token, for the first who brings it; `None` for everybody else, and for a
    /// token that is unknown, replaced, expired, of another purpose, or [bound](Binding). One round
    /// trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer, or what was stored is no `T`: the token is
    /// consumed then.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the token may be consumed and its value lost.
    ///
    /// # If the reply is lost
    ///
    /// The token may be consumed and its value lost; nobody else gets it either. It is not sent
    /// again. The user needs a new token.
    pub async fn consume(&self, token: &OneTimeToken) -> Result<Option<T>, Error> {
        Ok(match self.consume_bound(token, &Binding::none()).await? {
            Consumed::Value(value) => Some(value),
            Consumed::Unknown | Consumed::StampChanged | Consumed::OtherBrowser => None,
        })
    }

    /// The value of the token, for the first who brings it with what it was bound to. One round
    /// trip.
    ///
    /// # Errors
    ///
    /// As [`consume`](Self::consume).
    ///
    /// # Cancel safety
    ///
    /// As [`consume`](Self::consume).
    ///
    /// # If the reply is lost
    ///
    /// As [`consume`](Self::consume).
    pub async fn consume_bound(&self, token: &OneTimeToken, binding: &Binding) -> Result<Consumed<T>, Error> {
        let (key, hash) = (self.key(token), keys::token_hash(self.purpose, token));
        let call = async {
            Ok(match one_time::token_consume(&self.redis, &key, &hash, binding).await? {
                Brought::Consumed(bytes) => Consumed::Value(value::open(&self.codec, bytes)?),
                Brought::Unknown => Consumed::Unknown,
                Brought::OtherStamp => Consumed::StampChanged,
                Brought::OtherBrowser => Consumed::OtherBrowser,
            })
        };
        told!("token_consume", call, |consumed| match consumed {
            Consumed::Value(_) => Outcome::Done,
            Consumed::Unknown => Outcome::Gone,
            Consumed::StampChanged | Consumed::OtherBrowser => Outcome::Refused,
        })
    }

    /// What the tokens are for.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    fn key(&self, token: &OneTimeToken) -> redis_patterns_core::Key {
        keys::token(self.redis.namespace(), token)
    }
}

impl<T, C: Clone> Clone for OneTimeTokens<T, C> {
    fn clone(&self) -> Self {
        Self {
            redis: self.redis.clone(),
            purpose: self.purpose,
            pace: self.pace,
            codec: self.codec.clone(),
            holds: PhantomData,
        }
    }
}

impl<T, C> fmt::Debug for OneTimeTokens<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneTimeTokens")
            .field("redis", &self.redis)
            .field("purpose", &self.purpose)
            .field("pace", &self.pace)
            .finish_non_exhaustive()
    }
}
