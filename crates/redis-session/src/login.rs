//! Who logs in, and from where.

use crate::id::SessionId;
use std::fmt;

/// Bytes of a device that are kept: enough for a name or most of a User-Agent.
const LONGEST_DEVICE: usize = 255;

/// A user who logs in, for [`Sessions::log_in`](crate::Sessions::log_in).
///
/// `Debug` does not show the user.
///
/// ```
/// use redis_session::Login;
///
/// let login = Login::of("42").device("Firefox on Linux");
/// assert_eq!(format!("{login:?}"), "Login(..)");
/// ```
#[derive(Clone, Copy)]
pub struct Login<'a> {
    pub(crate) user: &'a str,
    pub(crate) device: &'a str,
    pub(crate) replaces: Option<&'a SessionId>,
    /// A session that will be replaced later: the limit does not count it.
    pub(crate) uncounted: Option<&'a SessionId>,
}

impl<'a> Login<'a> {
    /// A log-in of this user, by the name that never changes for them: not the address of their
    /// mail. The same name in [`Sessions::list`](crate::Sessions::list) and
    /// [`Sessions::revoke_all`](crate::Sessions::revoke_all) finds the sessions again.
    #[must_use]
    pub const fn of(user: &'a str) -> Self {
        Self { user, device: "", replaces: None, uncounted: None }
    }

    /// What [`Sessions::list`](crate::Sessions::list) shows of this session, such as the browser and
    /// the system; cut after 255 bytes, at a character.
    #[must_use]
    pub fn device(mut self, device: &'a str) -> Self {
        let ends = device.char_indices().map(|(at, character)| at + character.len_utf8());
        self.device = &device[..ends.take_while(|end| *end <= LONGEST_DEVICE).last().unwrap_or(0)];
        self
    }

    /// The session that this browser had before, which ends once the new one is there: the anonymous
    /// one, or one of a user. [`max_sessions`](crate::Options::max_sessions) does not count it.
    #[must_use]
    pub const fn replaces(mut self, id: &'a SessionId) -> Self {
        (self.replaces, self.uncounted) = (Some(id), Some(id));
        self
    }

    #[cfg(feature = "tower")]
    pub(crate) const fn uncounted(mut self, id: &'a SessionId) -> Self {
        self.uncounted = Some(id);
        self
    }
}

impl fmt::Debug for Login<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}
