//! Waiting for a condition with a deadline: the only way this crate waits.

use std::thread;
use std::time::{Duration, Instant};

use super::Error;

const POLL: Duration = Duration::from_millis(10);

/// Asks `condition` again and again until it holds, at most for `deadline`.
///
/// # Errors
///
/// [`Error::Timeout`] naming `what`.
pub fn wait_until(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) -> Result<(), Error> {
    wait_ok(deadline, what, || Ok(condition().then_some(())))
}

/// Like [`wait_until`], for a step that may fail for now: the last failure is kept for the error.
pub(super) fn wait_ok<T>(
    deadline: Duration,
    what: &str,
    mut step: impl FnMut() -> Result<Option<T>, Error>,
) -> Result<T, Error> {
    let start = Instant::now();
    let mut last = None;
    loop {
        match step() {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => {}
            // A taken port or a missing library does not heal by waiting.
            Err(fatal) if fatal.is_port_taken() || matches!(fatal, Error::Unusable { .. }) => {
                return Err(fatal);
            }
            Err(error) => last = Some(error.to_string()),
        }
        if start.elapsed() >= deadline {
            return Err(Error::Timeout { waited_for: what.to_owned(), waited: deadline, last });
        }
        thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_names_what_was_waited_for() {
        let error = wait_until(Duration::from_millis(20), "the moon", || false).unwrap_err();
        assert!(error.to_string().contains("for the moon"), "{error}");
    }

    #[test]
    fn a_condition_that_comes_true_ends_the_wait() {
        let mut left = 3;
        let wait = wait_until(Duration::from_secs(5), "three looks", || {
            left -= 1;
            left == 0
        });
        assert!(wait.is_ok());
    }
}
