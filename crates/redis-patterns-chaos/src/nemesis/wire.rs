//! Faults between the workers and the server: F3 and F4.

use crate::stage::Stage;
use redis_patterns_testkit::faults::{Match, Proxy};
use std::io;
use std::time::Duration;

/// A rule that meets no request for so long waits on, while the next one is set.
const PATIENCE: Duration = Duration::from_millis(100);

fn proxy(stage: &Stage) -> io::Result<&Proxy> {
    stage.proxy.as_ref().ok_or_else(|| io::Error::other("this fault needs a proxy"))
}

/// The reply of one request is lost after the request was passed on.
pub(super) async fn lose(stage: &mut Stage) -> io::Result<u64> {
    let nth = stage.dice.usize(1..30);
    let call = stage.history.invoke(0, "fault", "F3 lost reply");
    let proxy = proxy(stage)?;
    let before = proxy.counts().lost_replies;
    proxy.lose_replies(1, Match::NthAfterNow(nth));
    let moved = moved(|| proxy.counts().lost_replies.saturating_sub(before)).await;
    call.ok("");
    tokio::time::sleep(Duration::from_millis(5)).await;
    Ok(moved)
}

async fn moved(count: impl Fn() -> usize) -> u64 {
    for _ in 0..PATIENCE.as_millis() {
        if count() > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    count() as u64
}

pub(super) async fn tear(stage: &mut Stage, number: u64) -> io::Result<u64> {
    let (nth, bytes, stall) =
        (stage.dice.usize(1..20), stage.dice.usize(1..400), 2 * stage.orders.deadline());
    let call = stage.history.invoke(0, "fault", &format!("F4 kind {}", number % 5));
    let proxy = proxy(stage)?;
    let count = || {
        let counts = proxy.counts();
        counts.cut_replies + counts.cut_requests + counts.cuts + counts.stalled + counts.sliced
    };
    let before = count();
    match number % 5 {
        0 => proxy.cut_inside_reply(1, Match::NthAfterNow(nth)),
        1 => proxy.cut_after_bytes(bytes),
        2 => proxy.cut_inside_request(1, Match::NthAfterNow(nth)),
        3 => {
            proxy.stall();
            tokio::time::sleep(stall).await;
            proxy.resume();
        }
        _ => {
            proxy.slice(1);
            tokio::time::sleep(Duration::from_millis(150)).await;
            proxy.slice(0);
        }
    }
    let moved = moved(|| count().saturating_sub(before)).await;
    call.ok("");
    tokio::time::sleep(Duration::from_millis(10)).await;
    Ok(moved)
}
