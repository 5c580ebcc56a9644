//! Act 4: workers are killed (SIGKILL) in the middle of a job, at the two worst moments: before the
//! stock was written, with the lock held, and after it was written, before the queue heard of it.

use super::Play;
use crate::Fallible;
use crate::settings::{LAMP, SOFA, WORKER_LEASE};
use crate::stage::until;
use std::time::Instant;

pub(super) async fn play(play: &mut Play) -> Fallible<()> {
    kill_at(play, SOFA, "before it wrote", &[2], false).await?;
    kill_at(play, LAMP, "after it wrote", &[1, 2], true).await
}

/// Orders an item, kills the worker that stalls on it, and waits until another has done the job.
/// `writes` are the hand-outs that come to the stock; `shipped` says what is so before the recovery.
async fn kill_at(play: &mut Play, item: &str, when: &str, writes: &[u32], shipped: bool) -> Fallible<()> {
    let Play { stage, browser, report } = play;
    let fay = browser.log_in("fay").await?;
    let order = browser.order(&fay, &format!("one-{item}"), item).await?.order()?;
    let mut victim = stage.worker_that_says(&format!("holds {order}")).await?;
    victim.kill().await?;
    let killed = Instant::now();
    report.equal(
        &format!("worker {} killed {when}, order shipped", victim.pid()),
        browser.is_shipped(&fay, &order).await?,
        shipped,
    );
    let last = writes.last().copied();
    until("the job of a killed worker, done by another", || async {
        Ok(stage.stock.deliveries(&order).await?.last().copied() == last)
    })
    .await?;
    println!(
        "       done by another after {:.1} s; the lease is {WORKER_LEASE:?}",
        killed.elapsed().as_secs_f64()
    );
    report.equal("hand-outs that came to the stock", stage.stock.deliveries(&order).await?, writes.to_vec());
    report.equal("the order is shipped", browser.is_shipped(&fay, &order).await?, true);
    stage.start_worker().await
}
