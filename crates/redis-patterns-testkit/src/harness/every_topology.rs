//! One test body, run on each topology.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use super::{TestRedis, environment, skip};
use crate::servers::Topology;

/// How long a handle may take to close after its test.
const CLOSE: Duration = Duration::from_secs(10);

/// What a test body returns: nothing, or a result whose error fails the test.
pub trait Outcome: Send + 'static {
    /// Panics if the test failed.
    fn expect_passed(self);
}

impl Outcome for () {
    fn expect_passed(self) {}
}

impl<E: Debug + Send + 'static> Outcome for Result<(), E> {
    fn expect_passed(self) {
        if let Err(error) = self {
            panic!("the test returned an error: {error:?}");
        }
    }
}

/// Runs a test body on one topology, deletes its keys and closes its handle, also if it panics.
/// What [`on_every_topology!`](crate::on_every_topology) calls.
///
/// # Panics
///
/// If the body does, or if no server can be had.
pub fn run<F, Fut>(test: &str, topology: Topology, body: F)
where
    F: FnOnce(TestRedis) -> Fut,
    Fut: Future<Output: Outcome> + Send + 'static,
{
    if let Some(reason) = environment::left_out(topology) {
        return skip(test, &reason);
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().expect("a tokio runtime starts");
    runtime.block_on(async {
        let Some(t) = TestRedis::on(topology).await else { return };
        let twin = t.twin();
        let ended = tokio::spawn(body(t)).await;
        // A panic of the body must be what is reported, not one of the clean-up after it.
        let cleaned = tokio::spawn(clean(twin)).await;
        match ended {
            Ok(outcome) => outcome.expect_passed(),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
        assert!(cleaned.is_ok(), "{test} passed, but cleaning up after it failed");
    });
}

async fn clean(t: TestRedis) {
    t.delete_keys().await;
    let closed = tokio::time::timeout(CLOSE, Box::pin(t.redis.close())).await;
    assert!(closed.is_ok(), "the handle did not close within {CLOSE:?}: a call is still under way");
}

/// Makes a test of each function on a single server and on a cluster.
///
/// Each becomes a module with the tests `standalone` and `cluster`. A body takes a
/// [`TestRedis`](crate::harness::TestRedis) and may return a `Result`.
#[macro_export]
macro_rules! on_every_topology {
    ($($(#[$meta:meta])* async fn $name:ident($($argument:tt)*) $(-> $output:ty)? $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports, reason = "a body may need nothing from around it")]
            use super::*;

            async fn body($($argument)*) $(-> $output)? $body

            $(#[$meta])*
            #[test]
            fn standalone() {
                let test = concat!(module_path!(), "::standalone");
                $crate::harness::run(test, $crate::servers::Topology::Standalone, body);
            }

            $(#[$meta])*
            #[test]
            fn cluster() {
                let test = concat!(module_path!(), "::cluster");
                $crate::harness::run(test, $crate::servers::Topology::Cluster, body);
            }
        }
    )*};
}
