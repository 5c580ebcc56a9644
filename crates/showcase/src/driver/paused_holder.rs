//! Act 5: a process takes the lock on the chairs and reads how many there are; it is stopped
//! (SIGSTOP) until its lease is over and a worker has shipped a chair; then it goes on (SIGCONT) and
//! writes what it read, less one. Only the fence stands between it and a chair too many.

use super::Play;
use crate::Fallible;
use crate::settings::{CHAIR, INITIAL, LOCK_LEASE, PATIENCE};
use crate::stage::until;
use redis_patterns_testkit::faults::process::Worker;

pub(super) async fn play(play: &mut Play) -> Fallible<()> {
    let Play { stage, browser, report } = play;
    let mut holder = Worker::spawn(stage.run.command("holder")?)?;
    let said = holder.next_line(PATIENCE).await?;
    let old: i64 = said.strip_prefix("holds ").ok_or("the holder holds nothing")?.parse()?;
    holder.stop()?;
    // It will find this when it goes on, as if it had just been about to write.
    holder.send_line("write").await?;
    println!("       process {} is stopped with fence {old}; its lease is {LOCK_LEASE:?}", holder.pid());

    let gus = browser.log_in("gus").await?;
    let order = browser.order(&gus, "one-chair", CHAIR).await?.order()?;
    until("a chair shipped by the next holder", || browser.is_shipped(&gus, &order)).await?;
    let (_, new) = stage.stock.history(&order).await?;
    report
        .holds(&format!("the next holder wrote with a higher fence: {}", new.unwrap_or(0)), new > Some(old));

    holder.cont()?;
    let said = holder.next_line(PATIENCE).await?;
    report.equal("the late write, and the lock when it was given back", said.as_str(), "refused lapsed");
    report.equal("chairs", stage.stock.count(CHAIR).await?, INITIAL - 1);
    holder.wait(PATIENCE).await?;
    Ok(())
}
