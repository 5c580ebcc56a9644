//! Load for benches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Makes `calls` calls in all, each with its number, by so many tasks; says how long that took.
///
/// # Panics
///
/// If a call does.
pub async fn spread<F, Fut>(tasks: u64, calls: u64, call: F) -> Duration
where
    F: Fn(u64) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send,
{
    let next = Arc::new(AtomicU64::new(0));
    let started = Instant::now();
    let running: Vec<_> = (0..tasks)
        .map(|_| {
            let (call, next) = (call.clone(), next.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= calls {
                        return;
                    }
                    call(number).await;
                }
            })
        })
        .collect();
    for task in running {
        task.await.expect("a task of the bench");
    }
    started.elapsed()
}
