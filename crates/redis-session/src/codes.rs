//! Codes that users type: six to eight digits, and few guesses.

use crate::binding::Binding;
use crate::code_options::CodeOptions;
use crate::error::Error;
use crate::id::SUBJECT;
use crate::issue::Issue;
use crate::options::Purpose;
use crate::pepper::Pepper;
use crate::scripts::one_time::{self, CodeKeys, Guess, StoredCode};
use crate::telemetry::{Outcome, told};
use crate::{keys, scripts, value};
use bytes::Bytes;
#[cfg(feature = "json")]
use redis_patterns_core::Json;
use redis_patterns_core::{Codec, Redis, random_bytes, until_answered};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

/// The digits of a message to a user; `Debug` shows nothing of them.
#[derive(Clone, PartialEq, Eq)]
pub struct Code(String);

impl Code {
    /// The digits, to be sent to their user and to nobody else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn random(digits: usize) -> Result<Self, Error> {
        // Of 2^64 numbers, so that the lower ones are favoured by one in 10^11 at most.
        let number = u64::from_be_bytes(random_bytes()?);
        let code = number % 10_u64.pow(u32::try_from(digits).unwrap_or(8));
        Ok(Self(format!("{code:0digits$}")))
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(..)")
    }
}

/// What a guess amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "only a right guess lets its user in"]
pub enum Verdict<T> {
    /// It is the code, which is spent now, and this is what it holds.
    Right(T),
    /// It is another than the code.
    Wrong {
        /// How many more guesses there are; 0: the code is void.
        left: u32,
    },
    /// No code is active: none was issued, or it is spent, void or expired. Nothing was compared.
    NoCode,
    /// There were too many wrong guesses at this identity. Nothing was compared.
    Locked {
        /// How long it stays locked.
        retry_after: Duration,
    },
}

/// Codes of one purpose that hold a `T`; cheap to clone. An identity, such as the address of an
/// account, has one active code at most.
///
/// # Unknown accounts
///
/// Whoever asks for a code must not learn whether there is an account: for an unknown one call
/// [`decoy`](Self::decoy), and [`verify`](Self::verify) as for any other. Answers and round trips
/// are the same in number and in kind; no guess is right.
///
/// ```no_run
/// # async fn example(redis: redis_session::Redis) -> Result<(), redis_session::Error> {
/// use redis_session::{CodeOptions, Codes, Issue, Pepper, Purpose, Verdict};
///
/// const LOGIN: Purpose = Purpose::new("log-in code");
/// let pepper = Pepper::new(&[7; 32]); // from where the application keeps its secrets
/// let codes = Codes::<u64>::new(redis, LOGIN, pepper, CodeOptions::new())?;
///
/// let Issue::Issued(code) = codes.issue("ann@example.com", &42).await? else { return Ok(()) };
/// println!("mail to ann: {}", code.expose());
/// let wrong = if code.expose() == "000000" { "000001" } else { "000000" };
/// assert_eq!(codes.verify("ann@example.com", wrong).await?, Verdict::Wrong { left: 4 });
/// assert_eq!(codes.verify("ann@example.com", code.expose()).await?, Verdict::Right(42));
/// assert_eq!(codes.verify("ann@example.com", code.expose()).await?, Verdict::NoCode);
/// # Ok(())
/// # }
/// ```
pub struct Codes<T, #[cfg(feature = "json")] C = Json, #[cfg(not(feature = "json"))] C> {
    redis: Redis,
    purpose: Purpose,
    pepper: Pepper,
    options: CodeOptions,
    codec: C,
    holds: PhantomData<fn(T) -> T>,
}

#[cfg(feature = "json")]
impl<T: Serialize + DeserializeOwned> Codes<T> {
    /// Codes for `purpose`.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for a time below a millisecond or above 2^40 milliseconds, or a cool-down
    /// longer than the life of a code.
    pub fn new(redis: Redis, purpose: Purpose, pepper: Pepper, options: CodeOptions) -> Result<Self, Error> {
        Self::with_codec(redis, purpose, pepper, options, Json)
    }
}

impl<T: Serialize + DeserializeOwned, C: Codec> Codes<T, C> {
    /// The same with values in another encoding.
    ///
    /// # Errors
    ///
    /// [`Error::Options`] for a time below a millisecond or above 2^40 milliseconds, or a cool-down
    /// longer than the life of a code.
    pub fn with_codec(
        redis: Redis,
        purpose: Purpose,
        pepper: Pepper,
        options: CodeOptions,
        codec: C,
    ) -> Result<Self, Error> {
        options.check()?;
        Ok(Self { redis, purpose, pepper, options, codec, holds: PhantomData })
    }

    /// A new code of `identity` that holds `value`; the one before it is void, its wrong guesses
    /// still count. Nothing is issued within the cool-down or while the identity is locked. One
    /// round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer or the value has no encoding.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a code that nobody knows may stay until it expires, and the cool-down runs.
    ///
    /// # If the reply is lost
    ///
    /// It is sent again, three times in all: the second run finds the code in its place.
    pub async fn issue(&self, identity: impl AsRef<[u8]>, value: &T) -> Result<Issue<Code>, Error> {
        self.issue_bound(identity, value, &Binding::none()).await
    }

    /// The same, bound to a [stamp or a browser](Binding): a guess with another binding is a wrong
    /// guess. ASVS 5.0 (6.6.2) asks for it at a log-in: the code is good only for the request that
    /// it was sent for. One round trip.
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
        identity: impl AsRef<[u8]>,
        value: &T,
        binding: &Binding,
    ) -> Result<Issue<Code>, Error> {
        let (identity, code) = (identity.as_ref(), Code::random(self.options.code_length())?);
        let mac = self.mac(identity, code.expose(), binding);
        self.put(identity, mac, value::seal(&self.codec, value)?, code).await
    }

    /// What [`issue`](Self::issue) does, with a code that nothing matches: for an unknown account.
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
    pub async fn decoy(&self, identity: impl AsRef<[u8]>) -> Result<Issue<()>, Error> {
        self.put(identity.as_ref(), random_bytes()?, Bytes::new(), ()).await
    }

    /// Counts a guess at the code of `identity` and compares it, in one step of the server: however
    /// many guess at once, no more are compared than are allowed. Spaces and hyphens in the guess do
    /// not count. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer, or what was stored is no `T`: the code is spent
    /// then.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the guess may be counted, and a right one spent.
    ///
    /// # If the reply is lost
    ///
    /// The same. It is not sent again, since that would count again: the user asks for a new code.
    pub async fn verify(&self, identity: impl AsRef<[u8]>, guess: &str) -> Result<Verdict<T>, Error> {
        self.verify_bound(identity, guess, &Binding::none()).await
    }

    /// The same, for a code that was [bound](Self::issue_bound). One round trip.
    ///
    /// # Errors
    ///
    /// As [`verify`](Self::verify).
    ///
    /// # Cancel safety
    ///
    /// As [`verify`](Self::verify).
    ///
    /// # If the reply is lost
    ///
    /// As [`verify`](Self::verify).
    pub async fn verify_bound(
        &self,
        identity: impl AsRef<[u8]>,
        guess: &str,
        binding: &Binding,
    ) -> Result<Verdict<T>, Error> {
        let (identity, guess) = (identity.as_ref(), without_gaps(guess));
        let (keys, mac) = (self.keys(identity), self.mac(identity, &guess, binding));
        let call = async {
            Ok(match one_time::code_verify(&self.redis, &keys, &mac, self.options.allowed()).await? {
                Guess::Right(bytes) => Verdict::Right(value::open(&self.codec, bytes)?),
                Guess::Wrong(left) => Verdict::Wrong { left },
                Guess::NoCode => Verdict::NoCode,
                Guess::Locked(retry_after) => Verdict::Locked { retry_after },
            })
        };
        told!("code_verify", call, |verdict| match verdict {
            Verdict::Right(_) => Outcome::Done,
            Verdict::NoCode => Outcome::Gone,
            Verdict::Wrong { .. } | Verdict::Locked { .. } => Outcome::Refused,
        })
    }

    /// Forgets the wrong guesses at `identity`, when its owner has come in by another way. Answers
    /// whether there were any. One round trip.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: they may be forgotten.
    ///
    /// # If the reply is lost
    ///
    /// It is sent again, three times in all; the answer may then be `false`.
    pub async fn unlock(&self, identity: impl AsRef<[u8]>) -> Result<bool, Error> {
        let keys = self.keys(identity.as_ref());
        let call = async { Ok(until_answered(|| scripts::delete(&self.redis, &keys.failures)).await?) };
        told!("code_unlock", call, |were_there| Outcome::of(*were_there))
    }

    /// What the codes are for.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Counted the same for a code and a decoy: metrics tell no accounts either.
    async fn put<S>(
        &self,
        identity: &[u8],
        mac: [u8; 32],
        value: Bytes,
        issued: S,
    ) -> Result<Issue<S>, Error> {
        let (keys, code) = (self.keys(identity), StoredCode { issue: random_bytes()?, mac, value });
        let (pace, budget) = (self.options.pace(), self.options.allowed().budget);
        let call = async {
            let issue = || one_time::code_issue(&self.redis, &keys, &code, pace, budget);
            let waits = until_answered(issue).await?;
            Ok(waits.map_or(Issue::Issued(issued), |retry_after| Issue::TooSoon { retry_after }))
        };
        told!("code_issue", call, Issue::outcome)
    }

    fn keys(&self, identity: &[u8]) -> CodeKeys {
        let hash = self.pepper.mac(&[b"redis-session/identity", self.purpose.name().as_bytes(), identity]);
        let mut place = [0; SUBJECT];
        place.copy_from_slice(&hash[..SUBJECT]);
        keys::code(self.redis.namespace(), &place)
    }

    /// What Redis holds of a code, and what a guess is compared as: of equal length for all, and
    /// nothing that a guesser could steer, so the time of the comparison tells nothing.
    fn mac(&self, identity: &[u8], code: &str, binding: &Binding) -> [u8; 32] {
        let [stamp, browser] = binding.parts();
        let purpose = self.purpose.name().as_bytes();
        self.pepper.mac(&[b"redis-session/code", purpose, identity, stamp, browser, code.as_bytes()])
    }
}

/// As users type what they read in groups.
fn without_gaps(guess: &str) -> String {
    guess.chars().filter(|character| !character.is_whitespace() && *character != '-').collect()
}

impl<T, C: Clone> Clone for Codes<T, C> {
    fn clone(&self) -> Self {
        Self {
            redis: self.redis.clone(),
            purpose: self.purpose,
            pepper: self.pepper.clone(),
            options: self.options.clone(),
            codec: self.codec.clone(),
            holds: PhantomData,
        }
    }
}

impl<T, C> fmt::Debug for Codes<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codes")
            .field("redis", &self.redis)
            .field("purpose", &self.purpose)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
