//! A holder of a lock that is paused between its read and its write: the process that would undo
//! another's work if only the lock stood between them.

use crate::Fallible;
use crate::child::{Orders, say};
use crate::run::Run;
use crate::settings::CHAIR;
use crate::stock::{Overwrite, Stock};
use crate::worker::{lock_name, locks};
use redis_lock::Released;
use std::process::ExitCode;

/// The holder's main: takes the lock, reads, says so, and writes when told to.
pub(crate) async fn run() -> Fallible<ExitCode> {
    let run = Run::inherited()?;
    let orders = Orders::listen();
    let stock = Stock::open(&run.database())?;
    let redis = run.connect().await?;
    let locks = locks(&redis)?;
    let guard = locks.try_lock(lock_name(CHAIR)).await?.acquired().ok_or("the lock is not free")?;
    // Asked before the pause: any process can stand still between the last check and the write.
    let fence = guard.fence()?;
    let count = stock.count(CHAIR).await?;
    say(&format!("holds {fence}"));
    orders.wait_for("write").await;
    let wrote = match stock.overwrite(CHAIR, count - 1, fence).await? {
        Overwrite::Written => "written",
        Overwrite::Stale => "refused",
    };
    let released = match guard.release().await? {
        Released::InTime => "in-time",
        Released::Lapsed => "lapsed",
    };
    say(&format!("{wrote} {released}"));
    locks.close().await;
    redis.close().await;
    Ok(ExitCode::SUCCESS)
}
