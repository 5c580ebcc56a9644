//! Act 3: the same request is sent several times, at once and again later.

use super::Play;
use super::browser::{Answer, Login};
use crate::Fallible;
use crate::settings::{CHAIR, TEA};
use tokio::task::JoinSet;

/// How often the request is sent at once, and how often again.
const TIMES: usize = 5;
const BUTTON: &str = "the-button-pressed-again";

pub(super) async fn play(play: &mut Play) -> Fallible<()> {
    let dora = play.browser.log_in("dora").await?;
    let first = at_once(play, &dora).await?;
    again(play, &dora, &first).await?;
    let order = first.order()?;
    let (placed, _) = play.stage.stock.history(&order).await?;
    play.report.equal("times that this order was placed", placed, 1);
    others(play, &dora, &order).await
}

/// All at once: one is executed, the rest are told so or get its answer.
async fn at_once(play: &mut Play, dora: &Login) -> Fallible<Answer> {
    let Play { browser, report, .. } = play;
    let mut submits = JoinSet::new();
    for _ in 0..TIMES {
        let (browser, dora) = (browser.clone(), dora.clone());
        submits.spawn(async move { browser.order(&dora, BUTTON, TEA).await });
    }
    let (mut executed, mut conflicts, mut replayed) = (Vec::new(), 0, 0);
    while let Some(answer) = submits.join_next().await {
        let answer = answer??;
        match answer.status {
            201 if answer.is_replayed() => replayed += 1,
            201 => executed.push(answer),
            409 if answer.retry_after() >= Some(1) => conflicts += 1,
            other => report.equal("the status of a double submit", other, 409),
        }
    }
    report.equal(&format!("executed of {TIMES} at once"), executed.len(), 1);
    report.equal("told that it is under way, or replayed", conflicts + replayed, TIMES - 1);
    executed.pop().ok_or_else(|| "none was executed".into())
}

/// Afterwards: the stored answer, byte for byte.
async fn again(play: &mut Play, dora: &Login, first: &Answer) -> Fallible<()> {
    let mut equal = 0;
    for _ in 0..TIMES {
        let answer = play.browser.order(dora, BUTTON, TEA).await?;
        equal += usize::from(answer.status == 201 && answer.is_replayed() && answer.body == first.body);
    }
    play.report.equal("later replays, byte for byte the first answer", equal, TIMES);
    Ok(())
}

/// What looks alike and is not the same.
async fn others(play: &mut Play, dora: &Login, order: &str) -> Fallible<()> {
    let Play { browser, report, .. } = play;
    report.equal("the same key with another body", browser.order(dora, BUTTON, CHAIR).await?.status, 422);
    report.equal("no key", browser.send_order(dora, &[], TEA).await?.status, 400);
    let evan = browser.log_in("evan").await?;
    let answer = browser.order(&evan, BUTTON, TEA).await?;
    report.holds(
        "the same key of another user is another order",
        answer.status == 201 && !answer.is_replayed() && answer.order()? != order,
    );
    report.equal("another user's order looked at", browser.look(&evan, order).await?.status, 404);
    Ok(())
}
