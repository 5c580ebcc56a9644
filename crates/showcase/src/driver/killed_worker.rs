//! Act 4: workers are killed (SIGKILL) in the middle of a job, at the two worst moments: before the
//! stock was written, with the lock held, and after it was written, before the queue heard of it.

use super::Play;
use crate::Fallible;
use crate::settings::{LAMP, SOFA, WORKER_LEASE};
use crate::stage::until;
use std::time::Instant;

/// The moment of the kill.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moment {
    BeforeTheWrite,
    AfterTheWrite,
}

pub(super) async fn play(play: &mut Play) -> Fallible<()> {
    kill_at(play, SOFA, Moment::BeforeTheWrite).await?;
    kill_at(play, LAMP, Moment::AfterTheWrite).await
}

/// Orders an item, kills the worker that stalls on it, and waits until another has done the job.
async fn kill_at(play: &mut Play, item: &str, moment: Moment) -> Fallible<()> {
    let Play { stage, browser, report } = play;
    let written = moment == Moment::AfterTheWrite;
    let fay = browser.log_in("fay").await?;
    let order = browser.order(&fay, &format!("one-{item}"), item).await?.order()?;
    let mut victim = stage.worker_that_says(&format!("holds {order}")).await?;
    let before = stage.stock.deliveries(&order).await?.len();
    victim.kill().await?;
    let killed = Instant::now();
    let when = if written { "after it wrote" } else { "before it wrote" };
    println!("       worker {} killed {when}; its lease is {WORKER_LEASE:?}", victim.pid());
    let shipped = browser.is_shipped(&fay, &order).await?;
    report.equal("the order is shipped when its worker dies", shipped, written);
    until("the job of a killed worker, done by another", || async {
        Ok(stage.stock.deliveries(&order).await?.len() > before)
    })
    .await?;
    let (after, deliveries) = (killed.elapsed().as_secs_f64(), stage.stock.deliveries(&order).await?);
    let again = deliveries.last().is_some_and(|&delivery| delivery > 1);
    report.holds(&format!("another did the job after {after:.1} s, as a further hand-out"), again);
    report.equal("the order is shipped then", browser.is_shipped(&fay, &order).await?, true);
    stage.start_worker().await
}
