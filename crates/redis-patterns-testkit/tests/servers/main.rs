//! Every topology starts, survives a failover and leaves nothing behind, by each way that works
//! here: programs of this machine and Docker. What cannot run says why.

#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod child;
mod choices;
mod kept;
mod leftovers;
mod postgres;
mod topologies;

use redis_patterns_testkit::servers::{Backend, Launcher, ServerChoice};

/// Every way to start servers that works here. A machine with neither fails the test.
fn launchers() -> Vec<Launcher> {
    let ways = [
        ("native", Launcher::find(&ServerChoice::Auto, Backend::Native)),
        ("docker", Launcher::docker("redis:8")),
    ];
    let mut found = Vec::new();
    for (name, way) in ways {
        match way {
            Ok(launcher) => found.push(launcher),
            Err(why) => crate::skip(&format!("not tried with {name}: {why}")),
        }
    }
    assert!(!found.is_empty(), "no server can be started here, see above");
    found
}

/// Says what was not tried, where `cargo xtask test` reads it too.
fn skip(what: &str) {
    #[cfg(feature = "harness")]
    redis_patterns_testkit::harness::skip("servers", what);
    #[cfg(not(feature = "harness"))]
    eprintln!("skipped: {what}");
}
