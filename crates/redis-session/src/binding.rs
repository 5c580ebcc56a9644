//! What a token or a code is bound to besides its subject.

use redis_patterns_core::{Args, Digest, FieldHasher};
use std::fmt;

/// What must be the same when a token or a code is brought as when it was issued; nothing unless
/// said. Only hashes of it reach Redis.
///
/// ```
/// use redis_session::Binding;
///
/// let issued = Binding::none().stamp("the hash of the password").browser("a random cookie");
/// assert_eq!(issued, Binding::none().browser("a random cookie").stamp("the hash of the password"));
/// assert_ne!(issued, Binding::none().stamp("the hash of the password"));
/// assert_eq!(format!("{issued:?}"), "Binding(..)");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Binding {
    stamp: Option<Digest>,
    browser: Option<Digest>,
}

impl Binding {
    /// No more than the secret itself.
    #[must_use]
    pub const fn none() -> Self {
        Self { stamp: None, browser: None }
    }

    /// The security stamp of the account: what changes with its credentials, such as the hash of its
    /// password. A reset link is then void once the password has changed by any other way.
    #[must_use]
    pub fn stamp(self, stamp: impl AsRef<[u8]>) -> Self {
        Self { stamp: Some(FieldHasher::new("redis-session/stamp").field(stamp).finish()), ..self }
    }

    /// What only the browser that asked holds: a random value in a `__Host-` cookie. Whoever reads
    /// the mail elsewhere, be it a scanner that posts forms, cannot use the token.
    #[must_use]
    pub fn browser(self, nonce: impl AsRef<[u8]>) -> Self {
        Self { browser: Some(FieldHasher::new("redis-session/browser").field(nonce).finish()), ..self }
    }

    /// Both hashes, empty where there is none.
    pub(crate) fn parts(&self) -> [&[u8]; 2] {
        [&self.stamp, &self.browser].map(|part| part.as_ref().map_or(&[][..], AsRef::as_ref))
    }

    pub(crate) fn add_to(&self, args: Args) -> Args {
        let [stamp, browser] = self.parts();
        args.bytes(stamp).bytes(browser)
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Binding(..)")
    }
}
