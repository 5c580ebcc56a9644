//! Sending again what may be sent again.

use redis_patterns_core::{Backoff, Error};
use std::future::Future;
use std::time::Duration;

/// Sends of one step at most.
const SENDS: u32 = 3;
/// Short waits: a caller is waiting.
const WAITS: Backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(100));

/// Sends a step until it is answered, three times at most. Only for steps that change nothing when
/// they run again.
pub(crate) async fn until_answered<T, F>(mut step: impl FnMut() -> F) -> Result<T, Error>
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
