//! Act 6: a log-out ends the session at once, for whoever still has its cookie.

use super::Play;
use super::browser::Login;
use crate::Fallible;
use crate::settings::TEA;

pub(super) async fn play(play: &mut Play, ann: &Login) -> Fallible<()> {
    let Play { browser, report, .. } = play;
    let order = browser.order(ann, "the-last-one", TEA).await?.order()?;
    report.equal("asking before the log-out", browser.look(ann, &order).await?.status, 200);
    let cookie = [("cookie", ann.cookie.as_str())];
    report.equal("the log-out", browser.send("POST", "/logout", &cookie, String::new()).await?.status, 204);
    report.equal("asking after it", browser.look(ann, &order).await?.status, 401);
    report.equal("ordering after it", browser.order(ann, "one-more", TEA).await?.status, 401);
    Ok(())
}
