//! Act 1: who is logged in may order, others may not.

use super::Play;
use super::browser::Login;
use crate::Fallible;

pub(super) async fn play(play: &mut Play) -> Fallible<Login> {
    let Play { browser, report, .. } = play;
    let ann = browser.log_in("ann").await?;
    report.equal(
        "an order that is not there, asked with a session",
        browser.look(&ann, "none").await?.status,
        404,
    );
    for (what, cookie) in [
        ("without a session", String::new()),
        ("with a session that was never given out", format!("id={}", "0".repeat(64))),
        ("with a session id that is none", "id=1 OR 1=1".to_owned()),
    ] {
        let stranger = Login { cookie };
        report.equal(&format!("asking {what}"), browser.look(&stranger, "none").await?.status, 401);
        report.equal(&format!("ordering {what}"), browser.order(&stranger, "k", "tea").await?.status, 401);
    }
    let again = browser.log_in("ann").await?;
    report.holds("a second log-in is another session", again.cookie != ann.cookie);
    Ok(ann)
}
