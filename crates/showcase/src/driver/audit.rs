//! The end: every accepted order left the house exactly once, and the stock agrees.

use super::Play;
use crate::Fallible;
use crate::report::Behind;
use crate::settings::{INITIAL, QUEUE};
use crate::stage::until;
use redis_queue::Queue;

pub(super) async fn play(play: &mut Play) -> Fallible<Behind> {
    let Play { stage, browser, report } = play;
    let stock = stage.stock.clone();
    let all_shipped = until("every accepted order shipped", || async {
        let books = stock.audit(INITIAL).await?;
        Ok(books.shipped == books.accepted)
    })
    .await;
    if let Err(error) = all_shipped {
        report.broke_off(&error);
    }
    let by_workers = stage.stop_workers().await?;
    let waiting = Queue::new(stage.redis.clone(), QUEUE).depth().await?;
    let books = stock.audit(INITIAL).await?;
    let executed = browser.answers.executed.get();
    report.equal(
        "orders that a user was told are accepted, in the books",
        u64::from(books.accepted),
        executed,
    );
    report.equal("times that an order was placed", u64::from(books.placements), executed);
    report.equal("orders shipped", u64::from(books.shipped), executed);
    report.equal("orders shipped twice", books.twice, 0);
    report.equal("items whose count is not initial less shipped", books.wrong_counts, 0);
    report.equal("jobs that still wait", waiting, 0);
    report.holds(&format!("jobs recovered from killed workers: {}", books.recovered), books.recovered >= 2);
    report.holds(&format!("stale writes refused: {}", books.stale_refused), books.stale_refused >= 1);
    report.equal("stale writes accepted", books.stale_accepted, 0);
    println!("       workers that lived to the end have done {by_workers} jobs by their own count");
    Ok(Behind {
        jobs_done: books.shipped.into(),
        jobs_recovered: books.recovered.into(),
        jobs_lost: (books.accepted - books.shipped).into(),
        stale_refused: books.stale_refused.into(),
        stale_accepted: books.stale_accepted.into(),
    })
}
