//! Sending again what may be sent again.

use crate::backoff::Backoff;
use crate::error::Error;
use std::time::Duration;

/// Sends of one step at most.
const SENDS: u32 = 3;
/// Short waits: a caller is waiting.
const WAITS: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(100));

/// Sends a step until it is answered, three times at most.
///
/// # For idempotent steps only
///
/// A step whose reply was lost may have run and runs again. That is right where the second run
/// finds what the first one wrote (by an owner or request token) and writes nothing, and wrong
/// everywhere else: [`Redis`](crate::Redis) itself never sends twice.
///
/// # Errors
///
/// The last step's, or the first that does not [tend to pass](Error::is_passing).
///
/// # Cancel safety
///
/// That of the step.
pub async fn until_answered<T, F>(mut step: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut sent = 0;
    loop {
        let error = match step().await {
            Ok(answer) => return Ok(answer),
            Err(error) => error,
        };
        sent += 1;
        if sent == SENDS || !error.is_passing() {
            return Err(error);
        }
        tokio::time::sleep(WAITS.delay(sent - 1)).await;
    }
}
