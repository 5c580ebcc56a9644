//! Where a user is logged in.

use super::Sessions;
use crate::at_rest;
use crate::error::Error;
use crate::id::{Place, SessionRef};
use crate::keys::{self, SessionKeys};
use crate::scripts::{self, HEADS_AT_ONCE};
use crate::stored::Stored;
use redis_patterns_core::until_answered;
use std::time::{Duration, SystemTime};

/// One of the places where a user is logged in. Times are the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Device {
    /// Which session it is, for [`Sessions::revoke_listed`]; compare it with
    /// [`SessionId::reference`](crate::SessionId::reference) to mark the one that asks.
    pub session: SessionRef,
    /// What [`Login::device`](crate::Login::device) said.
    pub device: String,
    /// When it began.
    pub begun: SystemTime,
    /// When it was last used, to within the [share](crate::Options::touch_after_percent) of the idle
    /// time that passes unnoticed.
    pub seen: SystemTime,
    /// When it ends however much it is used.
    pub deadline: SystemTime,
    /// In what time it ends if it is not used.
    pub ends_in: Duration,
}

impl<T, C> Sessions<T, C> {
    /// The sessions of a user, the last used at the front. Two round trips, and one more for each
    /// hundred sessions.
    ///
    /// # Not one moment
    ///
    /// A session that begins or ends meanwhile may be there or not.
    ///
    /// # Errors
    ///
    /// [`Error::Redis`] if Redis could not answer, or a session cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: it only reads.
    ///
    /// # If the reply is lost
    ///
    /// It is asked again, three times in all.
    pub async fn list(&self, user: &str) -> Result<Vec<Device>, Error> {
        let (namespace, place) = (self.redis.namespace(), Place::of_user(user));
        let index = keys::index(namespace, user);
        let members = until_answered(|| scripts::members(&self.redis, &index)).await?;
        let known = members.iter().filter_map(|member| SessionRef::parse(member));
        let named: Vec<_> =
            known.map(|which| (which, SessionKeys::in_place(namespace, place, which))).collect();
        let mut devices = Vec::with_capacity(named.len());
        for some in named.chunks(HEADS_AT_ONCE) {
            let keys: Vec<_> = some.iter().map(|(_, keys)| keys.clone()).collect();
            let heads = until_answered(|| scripts::heads(&self.redis, &index, &keys)).await?;
            for ((which, _), (left_ms, head)) in some.iter().zip(heads) {
                if let Some(left_ms) = u64::try_from(left_ms).ok().filter(|left_ms| *left_ms > 0) {
                    let stored = Stored::parse(head)?;
                    let told = at_rest::device_out(&self.options, &index, &stored.device);
                    devices.push(device(*which, told, Duration::from_millis(left_ms), &stored));
                }
            }
        }
        devices.sort_by_key(|device| std::cmp::Reverse(device.seen));
        Ok(devices)
    }
}

fn device(session: SessionRef, device: String, ends_in: Duration, stored: &Stored) -> Device {
    let Stored { deadline, begun, seen, .. } = *stored;
    Device { session, device, begun, seen, deadline, ends_in }
}
