//! A client that takes locks, writes what they guard, and records both.

use redis_lock::{FenceStore, FencedRegister, FencingToken, LockGuard, LockOptions, Locks, Namespace};
use redis_lock::{Redis, Released, TryLock, Verdict};
use redis_patterns_core::{Args, Tag};
use redis_patterns_testkit::faults::history::{Call, History, now_ns};
use redis_patterns_testkit::faults::process;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::mpsc::Receiver;
use std::time::Duration;

pub(crate) const NAME: &str = "stock";
pub(crate) const LEASE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);
const KEEP: Duration = Duration::from_secs(3_600);

struct Client {
    number: u64,
    history: History,
    redis: Redis,
    locks: Locks,
    store: FencedRegister,
    lines: Receiver<String>,
    rounds: u64,
}

/// A hold of the mutex, by either lock.
enum Held {
    Fenced(LockGuard),
    /// `SET NX` without a token, freed by `DEL`: what the checker must convict.
    Broken,
}

fn of(name: &str) -> String {
    std::env::var(name).unwrap()
}

pub(crate) async fn connect(url: &str, namespace: &str) -> Redis {
    let namespace = Namespace::new(namespace).unwrap();
    // Long: what is slow here is a failover, and a call that gives up is retried by nobody.
    let connect = Redis::builder(url).namespace(namespace).command_deadline(PATIENCE).connect();
    Box::pin(connect).await.unwrap()
}

pub(crate) fn store(redis: Redis) -> FencedRegister {
    FencedRegister::new(redis, KEEP)
}

/// Works until it is told to stop; `pause` makes it wait for a line in the middle of a hold.
pub(crate) async fn work(lines: Receiver<String>) {
    let redis = connect(&of("LOCK_URL"), &of("LOCK_NAMESPACE")).await;
    let data = connect(&of("DATA_URL"), &of("LOCK_NAMESPACE")).await;
    let mut client = Client {
        number: of("PROCESS").parse().unwrap(),
        history: History::append_to(Path::new(&of("HISTORY"))).unwrap(),
        locks: Locks::new(redis.clone(), LockOptions::new().lease(LEASE).unwrap()),
        redis,
        store: store(data),
        lines,
        rounds: 0,
    };
    let broken = of("BROKEN") == "1";
    process::say("ready");
    let mut pause = false;
    loop {
        match client.lines.try_recv().as_deref() {
            Ok("pause") => pause = true,
            Ok("stop") => break,
            _ => {}
        }
        client.rounds += 1;
        match fastrand::u8(0..10) {
            _ if broken => client.mutex_by_set_nx(&mut pause).await,
            0..6 => client.mutex(&mut pause).await,
            6..8 => client.permit().await,
            8 => client.read().await,
            _ => client.write().await,
        }
    }
    client.locks.close().await;
    process::say("closed");
}

impl Client {
    fn ask(&self, kind: &str) -> (String, Call) {
        let id = format!("{}-{}", self.number, self.rounds);
        let call = self.history.invoke(self.number, "acquire", &format!("{kind} {id}"));
        (id, call)
    }

    async fn mutex(&self, pause: &mut bool) {
        let (id, call) = self.ask("mutex");
        let asked = self.locks.lock(NAME, PATIENCE);
        // Some give up half way.
        let patience =
            if fastrand::u8(0..8) == 0 { Duration::from_micros(fastrand::u64(0..20_000)) } else { KEEP };
        let Ok(answer) = tokio::time::timeout(patience, asked).await else { return call.info("given up") };
        let Some((guard, fence)) = granted(call, answer) else { return };
        let seal = self.history.invoke(self.number, "seal", &format!("{id} {fence}"));
        match self.store.seal(NAME, fence).await.unwrap() {
            Verdict::Admitted => seal.ok(""),
            Verdict::Stale { .. } => return seal.fail("stale"),
        }
        let held = Held::Fenced(guard);
        self.add(&id, fence, &held, pause).await;
        let Held::Fenced(guard) = held else { return };
        self.release(&id, guard).await;
    }

    async fn mutex_by_set_nx(&self, pause: &mut bool) {
        let (id, call) = self.ask("mutex");
        let key = self.redis.namespace().key("lock", &Tag::of("broken"));
        let args = || Args::new().bytes("1").word("NX").word("PX").millis(LEASE);
        let until = loop {
            let set: Option<String> = self.redis.command("SET", &[&key], &args()).await.unwrap();
            if set.is_some() {
                break now_ns() + u64::try_from(LEASE.as_nanos()).unwrap();
            }
            // sleep: it is how such a lock waits
            tokio::time::sleep(Duration::from_millis(2)).await;
        };
        let fence = FencingToken::new(1).unwrap();
        call.ok(&format!("{fence} {until}"));
        self.add(&id, fence, &Held::Broken, pause).await;
        let release = self.history.invoke(self.number, "release", &id);
        self.redis.command::<()>("DEL", &[&key], &Args::new()).await.unwrap();
        release.ok("");
    }

    /// Reads the list, adds to it, writes it back.
    async fn add(&self, id: &str, fence: FencingToken, held: &Held, pause: &mut bool) {
        let read = self.store.read(NAME).await.unwrap().unwrap_or_default();
        if std::mem::take(pause) {
            process::say("holding");
            self.lines.recv().unwrap();
        }
        // sleep: the work takes its time
        tokio::time::sleep(Duration::from_micros(fastrand::u64(0..3_000))).await;
        let at = now_ns();
        let status = match held {
            Held::Fenced(guard) if guard.fence().is_err() => "lost",
            _ => "held",
        };
        let mut list = String::from_utf8(read).unwrap();
        list.push_str(id);
        list.push(',');
        // A worker that does not stop for its guard: the store has to.
        let write = self.history.invoke(self.number, "write", &format!("{id} {fence} {id} {status} {at}"));
        match self.store.write(NAME, fence, list).await.unwrap() {
            Verdict::Admitted => write.ok(""),
            Verdict::Stale { .. } => write.fail("stale"),
        }
    }

    async fn permit(&self) {
        let (id, call) = self.ask("permit");
        let two = self.locks.semaphore(NAME, NonZeroU32::new(super::checker::PERMITS as u32).unwrap());
        self.hold(&id, call, two.acquire(NonZeroU32::MIN, PATIENCE).await).await;
    }

    async fn read(&self) {
        let (id, call) = self.ask("reader");
        self.hold(&id, call, self.locks.rw_lock(NAME).read(PATIENCE).await).await;
    }

    async fn write(&self) {
        let (id, call) = self.ask("writer");
        self.hold(&id, call, self.locks.rw_lock(NAME).write(PATIENCE).await).await;
    }

    async fn hold(&self, id: &str, call: Call, answer: Result<TryLock, redis_lock::Error>) {
        let Some((guard, _)) = granted(call, answer) else { return };
        // sleep: the work takes its time
        tokio::time::sleep(Duration::from_micros(fastrand::u64(0..3_000))).await;
        self.release(id, guard).await;
    }

    async fn release(&self, id: &str, guard: LockGuard) {
        let release = self.history.invoke(self.number, "release", id);
        match guard.release().await {
            Ok(Released::InTime) => release.ok(""),
            Ok(Released::Lapsed) => release.fail("lapsed"),
            Err(error) => release.info(&error.to_string()),
        }
    }
}

fn granted(call: Call, answer: Result<TryLock, redis_lock::Error>) -> Option<(LockGuard, FencingToken)> {
    let now = now_ns();
    match answer {
        Ok(TryLock::Acquired(guard)) => {
            let left = u64::try_from(guard.time_left().as_nanos()).unwrap();
            let Ok(fence) = guard.fence() else {
                call.info("lost at once");
                return None;
            };
            call.ok(&format!("{fence} {}", now + left));
            Some((guard, fence))
        }
        Ok(_) => {
            call.fail("busy");
            None
        }
        Err(error) => {
            call.info(&error.to_string());
            None
        }
    }
}
