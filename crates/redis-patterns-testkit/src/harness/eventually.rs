//! Waiting for a condition, the one way in which tests wait.

use std::time::{Duration, Instant};

/// Waits until `condition` holds; it is asked again every few milliseconds.
///
/// # Panics
///
/// If it does not hold within 30 s, which on any machine means never; the text names what was
/// waited for.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    const NEVER: Duration = Duration::from_secs(30);
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < NEVER, "not within {NEVER:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
