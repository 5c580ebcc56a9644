//! Processes that retry the same requests, die in the middle and lose Redis's memory under way: the
//! database holds one payment for each key. The same without the record in the transaction does not.

#![allow(clippy::unwrap_used)]

mod common;

use common::{BODY, begin, end_lease, key_of, start};
use redis_idem::sql::{Recorded, SqlRecords};
use redis_idem::{Begin, Claim, Fingerprint, Idempotency, Namespace, Options, Redis, Release, Scope};
use redis_patterns_core::Args;
use redis_patterns_testkit::faults::process::{self, Worker};
use redis_patterns_testkit::faults::resp::Conn;
use redis_patterns_testkit::harness::{TestRedis, own};
use redis_patterns_testkit::servers::{Cluster, Node, Options as ServerOptions, Standalone};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const WORKERS: usize = 4;
const KEYS: u32 = 60;
/// Answers that the workers get before the test ends.
const ANSWERS: usize = 1_200;
/// A fault comes after so many answers.
const PACE: usize = 30;

/// Whether the outcome is recorded in the transaction of the payment, or in Redis alone.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Both,
    RedisAlone,
}

async fn database(file: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .busy_timeout(Duration::from_secs(30));
    SqlitePoolOptions::new().max_connections(1).connect_with(options).await.unwrap()
}

/// Takes the payment of a claim; whether it did, or found it taken before.
async fn pay(pool: &SqlitePool, mode: Mode, claim: &Claim, key: &str) -> bool {
    let mut transaction = pool.begin().await.unwrap();
    if mode == Mode::Both {
        let records = SqlRecords::new(pool.clone());
        let record = records.record(&mut transaction, claim, b"paid");
        if record.await.unwrap() != Recorded::New {
            transaction.rollback().await.unwrap();
            return false;
        }
    }
    let payment = "INSERT INTO payments (key) VALUES ($1)";
    sqlx::query(payment).bind(key).execute(&mut *transaction).await.unwrap();
    transaction.commit().await.unwrap();
    true
}

/// Not a test by itself: sends every request again and again until it is killed.
#[test]
fn paying_worker() {
    if !process::is_worker("paying_worker") {
        return;
    }
    let lines = process::exit_when_parent_dies();
    let told = || lines.recv().unwrap();
    let (url, namespace, file, mode) = (told(), told(), told(), told());
    let mode = if mode == "Both" { Mode::Both } else { Mode::RedisAlone };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let redis = Redis::connect(&url).await.unwrap().with_namespace(Namespace::new(&namespace).unwrap());
        let pool = database(Path::new(&file)).await;
        let mut options =
            Options::new().lease(Duration::from_millis(200)).retention(Duration::from_secs(600));
        if mode == Mode::Both {
            options = options.durable(Arc::new(SqlRecords::new(pool.clone())));
        }
        let requests = Idempotency::with_options(redis, options).unwrap();
        for round in 0_u32.. {
            // Neighbours meet at the same keys, at times that differ.
            let key = format!("key-{}", (round * 7 + std::process::id()) % KEYS);
            let begin = requests.begin(&Scope::Global, "pay", &key, Fingerprint::of(&key)).await;
            let answer = match begin {
                Ok(Begin::Started(claim)) => {
                    let paid = pay(&pool, mode, &claim, &key).await;
                    let _ = claim.complete("paid").await;
                    if paid { "ran" } else { "found" }
                }
                Ok(Begin::Replay(_)) => "replayed",
                Ok(Begin::InProgress { .. }) => "busy",
                Ok(other) => panic!("{other:?}"),
                Err(_) => "failed",
            };
            process::say(answer);
        }
    });
}

/// The servers of a storm: three primaries with their replicas, or one server.
enum Servers {
    Cluster(Arc<Cluster>),
    One(Standalone),
}

impl Servers {
    async fn of(mode: Mode) -> Self {
        match mode {
            Mode::Both => Self::Cluster(Arc::new(own::cluster(ServerOptions::new()).await)),
            Mode::RedisAlone => Self::One(own::standalone(ServerOptions::new()).await),
        }
    }

    fn url(&self) -> &str {
        match self {
            Self::Cluster(cluster) => cluster.url(),
            Self::One(server) => server.url(),
        }
    }

    fn addresses(&self) -> Vec<String> {
        match self {
            Self::Cluster(cluster) => cluster.nodes().iter().map(Node::address).collect(),
            Self::One(server) => vec![server.node().address()],
        }
    }

    /// Kills one primary; its replica takes over, and it comes back as a replica. One server stays.
    async fn fail_over(&self, number: usize) -> usize {
        let Self::Cluster(cluster) = self else { return 0 };
        let (cluster, slot) = (cluster.clone(), [100, 6_000, 12_000][number % 3]);
        let done = tokio::task::spawn_blocking(move || {
            let old = cluster.primary_of(slot)?;
            old.kill()?;
            cluster.wait_new_primary(slot, old)?;
            old.restart()
        });
        done.await.unwrap().unwrap();
        1
    }
}

/// Sends a command to every server; a replica that refuses it will get it from its primary.
async fn on_all(addresses: &[String], command: &[&str]) {
    for address in addresses {
        let Ok(mut conn) = Conn::connect(address).await else { continue };
        let _ = conn.call(command).await;
    }
}

struct Storm {
    servers: Servers,
    t: TestRedis,
    pool: SqlitePool,
    file: PathBuf,
    mode: Mode,
    workers: Vec<Worker>,
    faults: [usize; 3],
}

impl Storm {
    async fn spawn(&mut self) {
        let mut worker = Worker::spawn_self_test("paying_worker", &[]).unwrap();
        let told = [self.t.url(), self.t.redis.namespace().as_str(), self.file.to_str().unwrap()];
        for line in told {
            worker.send_line(line).await.unwrap();
        }
        worker.send_line(&format!("{:?}", self.mode)).await.unwrap();
        self.workers.push(worker);
    }

    /// Kills a worker wherever it is, forgets the scripts, or kills a primary.
    async fn fault(&mut self, number: usize) {
        match number % 12 {
            7 => self.faults[2] += self.servers.fail_over(number / 12).await,
            even if even % 2 == 0 => {
                let mut victim = self.workers.remove(0);
                victim.kill().await.unwrap();
                self.spawn().await;
                self.faults[0] += 1;
            }
            _ => {
                on_all(&self.servers.addresses(), &["SCRIPT", "FLUSH"]).await;
                self.faults[1] += 1;
            }
        }
    }

    async fn rage(&mut self) -> [usize; 3] {
        let [mut ran, mut replayed, mut other] = [0; 3];
        for answers in 0..ANSWERS {
            if answers % PACE == PACE - 1 {
                self.fault(answers / PACE).await;
            }
            let worker = answers % self.workers.len();
            match self.workers[worker].next_line(Duration::from_secs(60)).await.unwrap().as_str() {
                "ran" => ran += 1,
                "replayed" | "found" => replayed += 1,
                _ => other += 1,
            }
        }
        for worker in &mut self.workers {
            worker.kill().await.unwrap();
        }
        [ran, replayed, other]
    }

    /// The storm, with everything forgotten every 200 ms; answers how often that was.
    async fn rage_while_redis_forgets(&mut self) -> ([usize; 3], usize) {
        let (addresses, forgot) = (self.servers.addresses(), Arc::new(AtomicUsize::new(0)));
        let count = forgot.clone();
        let forgetting = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(200));
            loop {
                ticks.tick().await;
                on_all(&addresses, &["FLUSHALL"]).await;
                count.fetch_add(1, Ordering::SeqCst);
            }
        });
        let answers = self.rage().await;
        forgetting.abort();
        (answers, forgot.load(Ordering::SeqCst))
    }
}

/// Payments, and keys that were paid for.
async fn storm(mode: Mode) -> (i64, i64) {
    let servers = Servers::of(mode).await;
    let t = TestRedis::at(servers.url()).await;
    let folder = std::env::temp_dir().join(format!("redis-idem-{}-{mode:?}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("payments.sqlite");
    let pool = database(&file).await;
    sqlx::query("CREATE TABLE payments (key TEXT NOT NULL)").execute(&pool).await.unwrap();
    SqlRecords::new(pool.clone()).create_table().await.unwrap();
    let mut storm = Storm { servers, t, pool, file, mode, workers: Vec::new(), faults: [0; 3] };
    for _ in 0..WORKERS {
        storm.spawn().await;
    }
    let ([ran, replayed, other], forgot) = storm.rage_while_redis_forgets().await;
    let counted = "SELECT count(*), count(DISTINCT key) FROM payments";
    let (payments, paid): (i64, i64) = sqlx::query_as(counted).fetch_one(&storm.pool).await.unwrap();
    let [killed, scripts, failovers] = storm.faults;
    println!(
        "{mode:?}: {payments} payments for {paid} keys; answers: {ran} ran, {replayed} replayed, {other} busy or \
         failed; faults: {killed} workers killed, {failovers} primaries killed, scripts flushed {scripts} times, \
         everything {forgot} times"
    );
    assert!(replayed > 100, "the storm was too weak: {replayed} replays");
    assert!(killed > 5 && scripts > 3 && forgot > 2, "too few faults");
    assert!(mode == Mode::RedisAlone || failovers > 1, "too few failovers");
    std::fs::remove_dir_all(&folder).unwrap();
    (payments, paid)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_payment_for_each_key_though_workers_die_and_redis_forgets_everything() {
    let (payments, paid) = storm(Mode::Both).await;
    assert_eq!(payments, paid, "a key was paid for twice");
    assert_eq!(paid, i64::from(KEYS), "a key was never paid for");
}

/// Shows that the storm bites: Redis alone cannot keep what it is made to forget.
#[tokio::test(flavor = "multi_thread")]
async fn the_same_storm_without_the_record_in_the_transaction_pays_twice() {
    let (payments, paid) = storm(Mode::RedisAlone).await;
    assert!(payments > paid, "{payments} payments for {paid} keys: the storm does not bite");
}

/// Whether a run that was taken over ends by the engine, or as libraries do that compare no owner.
#[derive(Clone, Copy, Debug, PartialEq)]
enum OwnerCheck {
    Done,
    LeftOut,
}

/// One key: a first run stalls past its lease and then gives its claim back; the second, which took
/// over, pays and is still at it; six callers ask for the payment all the while. Answers the payments.
async fn late_release(t: &TestRedis, key: String, check: OwnerCheck) -> usize {
    let requests = Idempotency::new(t.redis.clone());
    let payments = Arc::new(AtomicUsize::new(0));
    let stalled = start(&requests, &key).await;
    end_lease(&t.redis, stalled.request()).await;
    let second = start(&requests, &key).await;
    payments.fetch_add(1, Ordering::SeqCst);
    match check {
        OwnerCheck::Done => assert_eq!(stalled.release().await.unwrap(), Release::Lost),
        OwnerCheck::LeftOut => {
            let record = key_of(&t.redis, stalled.request());
            t.redis.command::<()>("DEL", &[&record], &Args::new()).await.unwrap();
        }
    }
    let callers: Vec<_> = (0..6)
        .map(|_| {
            let (requests, key, payments) = (requests.clone(), key.clone(), payments.clone());
            tokio::spawn(async move {
                for _ in 0..5 {
                    if let Begin::Started(claim) = begin(&requests, &key, BODY).await {
                        payments.fetch_add(1, Ordering::SeqCst);
                        let _ = claim.complete("paid").await.unwrap();
                    }
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let _ = second.complete("paid").await.unwrap();
    payments.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_payment_for_each_key_though_a_run_that_lost_it_gives_it_back() {
    let Some(t) = TestRedis::standalone().await else { return };
    let mut payments = [0; 2];
    for number in 0..KEYS {
        payments[0] += late_release(&t, format!("checked {number}"), OwnerCheck::Done).await;
        payments[1] += late_release(&t, format!("unchecked {number}"), OwnerCheck::LeftOut).await;
    }
    println!("{KEYS} keys: {} payments with the owner check, {} without", payments[0], payments[1]);
    assert_eq!(payments[0], KEYS as usize, "a key was paid for twice");
    assert!(payments[1] > KEYS as usize, "without the owner check nothing goes wrong: this does not bite");
    t.delete_keys().await;
}
