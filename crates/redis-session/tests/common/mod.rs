//! What several tests need.

use redis_session::{LogIn, Login, SessionId, Sessions};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a load of the session finds.
#[allow(dead_code, reason = "not every test loads")]
pub(crate) async fn value<T: Serialize + DeserializeOwned>(
    sessions: &Sessions<T>,
    id: &SessionId,
) -> Option<T> {
    sessions.load(id).await.unwrap().map(|loaded| loaded.value)
}

/// A session of this user.
#[allow(dead_code, reason = "not every test has users")]
pub(crate) async fn log_in<T: Serialize + DeserializeOwned>(
    sessions: &Sessions<T>,
    user: &str,
    value: &T,
) -> SessionId {
    match sessions.log_in(Login::of(user), value).await.unwrap() {
        LogIn::Begun(id) => id,
        LogIn::Full => panic!("the user has as many sessions as allowed"),
    }
}
