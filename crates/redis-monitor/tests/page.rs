//! The page of `redis-doctor serve`: who may ask and act, and all of it in a real browser.

mod browser;
mod common;

use browser::Browser;
use common::{Program, healthy, set};
use redis_lock::{LockGuard, LockOptions, Locks};
use redis_patterns_core::Redis;
use redis_patterns_testkit::harness::{eventually, own};
use redis_queue::{Outcome, Queue, WorkerOptions};
use std::time::Duration;

const TOKEN: &str = "a token of at least sixteen characters";
const TOKEN_IN_A_FORM: &str = "a+token+of+at+least+sixteen+characters";
const QUEUE: &str = "mails <i>& more";
/// What a job may have died of, if somebody wants to be in the page.
const WHY: &str = "</td><script>document.title='taken'</script><b>no use";

fn serve(url: &str, args: &[&str]) -> Program {
    let args = [&["serve", "--every", "0.5"], args].concat();
    Program::start(
        env!("CARGO_BIN_EXE_redis-doctor"),
        &args,
        &[("REDIS_URL", url), ("REDIS_DOCTOR_TOKEN", TOKEN)],
    )
}

fn post(program: &Program, lines: &str, what: &str, token: &str) -> String {
    let head =
        format!("POST /act HTTP/1.1\r\n{lines}\r\nContent-Type: application/x-www-form-urlencoded\r\n");
    let (head, _) = program.send(&head, &format!("token={token}&do={what}"));
    head
}

/// `jobs` dead letters of the queue.
async fn bury(queue: &Queue, jobs: usize) {
    for _ in 0..jobs {
        let _ = queue.push("job").await.unwrap();
    }
    let worker = queue
        .run(WorkerOptions::default(), |_| async { Outcome::Dead { reason: WHY.into() } })
        .await
        .unwrap();
    eventually("buried", || async { queue.stats().await.unwrap().dead == jobs as u64 }).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_form_of_the_page_with_the_token_acts() {
    let server = own::standalone(healthy()).await;
    let redis = Redis::connect(server.url()).await.unwrap();
    let queue = Queue::new(redis.clone(), "mails");
    bury(&queue, 1).await;
    let program = serve(server.url(), &["--allow-actions", "--host", "doctor.internal"]);
    let place = program.place.clone();
    let own = format!("Host: {place}\r\nOrigin: http://{place}");
    let all = "replay+all+mails";
    for (lines, what, token, status) in [
        (format!("Host: evil.example\r\nOrigin: http://{place}"), all, TOKEN_IN_A_FORM, "421"),
        (format!("Host: {place}"), all, TOKEN_IN_A_FORM, "403"),
        (format!("Host: {place}\r\nOrigin: http://evil.example"), all, TOKEN_IN_A_FORM, "403"),
        (own.clone(), all, "", "403"),
        (own.clone(), all, "a+token+of+at+least+sixteen+characterz", "403"),
        (own.clone(), "flush+all+mails", TOKEN_IN_A_FORM, "400"),
        (own.clone(), &"x".repeat(20_000), TOKEN_IN_A_FORM, "413"),
    ] {
        let head = post(&program, &lines, what, token);
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{lines} {head}");
    }
    assert_eq!(queue.stats().await.unwrap().dead, 1);
    let (head, _) =
        program.send(&format!("GET /act?token={TOKEN_IN_A_FORM}&do={all} HTTP/1.1\r\nHost: {place}\r\n"), "");
    assert!(head.starts_with("HTTP/1.1 405"), "{head}");

    let named = "Host: doctor.internal\r\nOrigin: https://doctor.internal";
    let head = post(&program, named, all, TOKEN_IN_A_FORM);
    assert!(head.starts_with("HTTP/1.1 303") && head.contains("location: ./?said=replayed"), "{head}");
    assert_eq!(queue.stats().await.unwrap().dead, 0);
    let head = post(&program, &own, all, TOKEN_IN_A_FORM);
    assert!(head.contains("said=gone"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_allow_actions_it_only_looks_and_what_it_sends_is_guarded() {
    let server = own::standalone(healthy()).await;
    let redis = Redis::connect(server.url()).await.unwrap();
    let queue = Queue::new(redis.clone(), QUEUE);
    bury(&queue, 1).await;
    let program = serve(server.url(), &[]);
    let place = &program.place;
    let own = format!("Host: {place}\r\nOrigin: http://{place}");
    let head = post(&program, &own, "replay+all+mails", TOKEN_IN_A_FORM);
    assert!(head.starts_with("HTTP/1.1 403"), "{head}");
    assert_eq!(queue.stats().await.unwrap().dead, 1);

    let (head, page) = program.get("/");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    for guard in ["default-src 'none'", "frame-ancestors 'none'", "nosniff", "no-store", "no-referrer"] {
        assert!(head.contains(guard), "{guard}: {head}");
    }
    assert!(!head.contains("unsafe-inline"), "{head}");
    assert!(page.contains("Read-only.") && !page.contains("<form"), "{page}");
    assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"), "{page}");
    assert!(!page.contains("<i>") && page.contains("mails &lt;i&gt;&amp; more"), "{page}");
    let (head, _) = program.send("GET / HTTP/1.1\r\nHost: rebound.example\r\n", "");
    assert!(head.starts_with("HTTP/1.1 421"), "{head}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_made_up_where_none_is_chosen_and_a_short_one_is_refused() {
    let server = own::standalone(healthy()).await;
    let program = env!("CARGO_BIN_EXE_redis-doctor");
    let run = |token: Option<&str>| {
        let mut command = std::process::Command::new(program);
        command.args(["serve", server.url(), "--allow-actions", "--listen", "256.0.0.1:1"]);
        command.env_remove("REDIS_DOCTOR_TOKEN").envs(token.map(|token| ("REDIS_DOCTOR_TOKEN", token)));
        command
    };
    // The address is read first: nothing is served, and one line says why.
    let output = run(None).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let mut command = std::process::Command::new(program);
    command.args(["serve", server.url(), "--allow-actions"]).env("REDIS_DOCTOR_TOKEN", "short");
    let output = command.output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("less than 16 characters"));
}

/// Three dead letters, a lock that somebody holds, and the page in a browser.
struct Stage {
    queue: Queue,
    locks: Locks,
    _held: LockGuard,
}

impl Stage {
    async fn set(url: &str) -> Self {
        let redis = Redis::connect(url).await.unwrap();
        let queue = Queue::new(redis.clone(), QUEUE);
        bury(&queue, 3).await;
        let options =
            LockOptions::default().label("billing").unwrap().lease(Duration::from_secs(600)).unwrap();
        let locks = Locks::new(redis, options);
        let held = locks.try_lock("invoices").await.unwrap().acquired().unwrap();
        Self { queue, locks, _held: held }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_browser_the_page_is_live_and_its_actions_work() {
    let Some(browser) = Browser::start("in_a_browser_the_page_is_live_and_its_actions_work").await else {
        return;
    };
    let server = own::standalone(healthy()).await;
    let stage = Stage::set(server.url()).await;
    let program = serve(server.url(), &["--allow-actions"]);
    browser.open(&format!("http://{}/", program.place)).await;
    browser.picture("wide").await;

    charts_follow(&browser, &stage.queue).await;
    findings_come_and_go(&browser, &server).await;
    actions_need_the_token(&browser, &stage).await;
    it_fits_a_narrow_window_and_a_dark_one(&browser).await;
    assert_eq!(browser.eval("return document.querySelectorAll('main script, td b').length").await, 0);
    browser.close().await;
}

async fn charts_follow(browser: &Browser, queue: &Queue) {
    // It would not be there any more if the page had been loaded again.
    browser.eval("window.kept = 1; return 1").await;
    for chart in ["findings", "commands", "memory", "connections", "waiting", "dead", "workers", "locks"] {
        let drawn =
            format!("return document.querySelector('#chart-{chart} path.line').getAttribute('d').length");
        browser.until(&format!("{chart} is drawn"), &format!("{drawn} > 8")).await;
    }
    for _ in 0..7 {
        let _ = queue.push("job").await.unwrap();
    }
    let newest = "return document.querySelector('#chart-waiting .legend b').textContent === '7'";
    browser.until("seven wait", newest).await;
    assert_eq!(browser.eval("return window.kept").await, 1);
    let named = "return document.querySelector('#chart-waiting svg[role=img]').getAttribute('aria-label').includes('now 7')";
    browser.until("the chart says it in words", named).await;
}

async fn findings_come_and_go(browser: &Browser, server: &redis_patterns_testkit::servers::Standalone) {
    let there = "return document.querySelector('[data-signal=eviction-policy]') !== null";
    set(server.node(), "CONFIG SET maxmemory-policy allkeys-lru");
    browser.until("the finding is shown", there).await;
    browser.until("the title says so", "return document.title.startsWith('Critical')").await;
    set(server.node(), "CONFIG SET maxmemory-policy noeviction");
    browser.until("and gone", &there.replace("!==", "===")).await;
}

async fn actions_need_the_token(browser: &Browser, stage: &Stage) {
    let retry = "tr[data-letter] td.actions > button";
    let letters =
        |left: usize| format!("return document.querySelectorAll('tr[data-letter]').length === {left}");
    browser.until("three letters", &letters(3)).await;
    browser.fill("#token", "wrong").await;
    browser.press(retry).await;
    browser.says("Refused: the token is wrong.").await;
    assert_eq!(stage.queue.stats().await.unwrap().dead, 3);

    browser.fill("#token", TOKEN).await;
    browser.press(retry).await;
    browser.says("The job waits again, behind all others.").await;
    assert_eq!(stage.queue.stats().await.unwrap().dead, 2);
    browser.until("two letters", &letters(2)).await;

    browser.press("tr[data-letter] summary").await;
    browser.press("tr[data-letter] details[open] button").await;
    browser.says("The dead letter is deleted.").await;
    assert_eq!(stage.queue.stats().await.unwrap().dead, 1);
    browser.press("div.actions summary").await;
    browser.press("div.actions details[open] button").await;
    browser.says("All dead letters of the queue wait again.").await;
    assert_eq!((stage.queue.stats().await.unwrap().dead, stage.queue.stats().await.unwrap().pending), (0, 9));

    browser.press("tr[data-lock=invoices] summary").await;
    browser.press("tr[data-lock=invoices] details[open] button").await;
    browser.says("The lock is free.").await;
    assert_eq!(stage.locks.inspect("invoices").await.unwrap().holder, None);
    browser.until("no lock is shown", "return document.querySelector('tr[data-lock]') === null").await;
}

async fn it_fits_a_narrow_window_and_a_dark_one(browser: &Browser) {
    browser.resize(360, 800).await;
    browser.until("it fits", "return document.documentElement.scrollWidth <= window.innerWidth").await;
    browser.picture("narrow").await;
}
