//! Workers as processes of their own, so that a kill takes everything: tasks, connections, memory.
//!
//! A test starts its own binary again with one test function as the worker's main:
//!
//! ```no_run
//! use redis_patterns_testkit::faults::process::{self, Worker};
//! use std::time::Duration;
//!
//! // #[test]
//! fn worker() {
//!     if !process::is_worker("worker") {
//!         return; // An ordinary run of the tests: nothing to do.
//!     }
//!     let lines = process::exit_when_parent_dies();
//!     process::say("ready");
//!     while let Ok(line) = lines.recv() {
//!         process::say(&format!("did {line}"));
//!     }
//! }
//!
//! // #[tokio::test]
//! async fn a_worker_dies_in_the_middle() -> std::io::Result<()> {
//!     let mut worker = Worker::spawn_self_test("worker", &[])?;
//!     assert_eq!(worker.next_line(Duration::from_secs(10)).await?, "ready");
//!     worker.send_line("job 1").await?;
//!     worker.kill().await?;
//!     Ok(())
//! }
//! ```
//!
//! Nothing is left behind: a worker is killed when its handle is dropped, and when the test's
//! process dies in any way, even if the worker is stopped at that moment.

mod guardian;
mod worker;

pub use guardian::{exit_when_parent_dies, is_worker, say};
pub use worker::Worker;
