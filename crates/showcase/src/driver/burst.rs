//! Act 2: one user sends far more orders at once than the limit admits.

use super::Play;
use crate::Fallible;
use crate::settings::{LIMIT, PERIOD, TEA};
use tokio::task::JoinSet;

pub(super) async fn play(play: &mut Play) -> Fallible<()> {
    let Play { browser, report, .. } = play;
    let limit = LIMIT.get();
    let bob = browser.log_in("bob").await?;
    let mut burst = JoinSet::new();
    for number in 0..3 * limit {
        let (browser, bob) = (browser.clone(), bob.clone());
        burst.spawn(async move { browser.order(&bob, &format!("burst-{number}"), TEA).await });
    }
    let (mut allowed, mut denied, mut waits) = (0, 0, Vec::new());
    while let Some(answer) = burst.join_next().await {
        let answer = answer??;
        match answer.status {
            201 => allowed += 1,
            429 => {
                denied += 1;
                waits.push(answer.retry_after().unwrap_or(0));
            }
            other => report.equal("the status of an order in the burst", other, 201),
        }
    }
    report.equal(&format!("allowed of {} at once", 3 * limit), allowed, limit);
    report.equal("denied", denied, 2 * limit);
    let (least, most) = (waits.iter().min().copied(), waits.iter().max().copied());
    report.holds(
        &format!("each denial says when to come back: in {} s at most", most.unwrap_or(0)),
        least >= Some(1) && most <= Some(PERIOD.as_secs()),
    );
    let cat = browser.log_in("cat").await?;
    report.equal("another user's order meanwhile", browser.order(&cat, "one", TEA).await?.status, 201);
    Ok(())
}
