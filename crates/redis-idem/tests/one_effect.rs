//! Processes that retry the same requests, die in the middle and lose Redis's memory under way: the
//! database holds one payment for each key. The same without the record in the transaction does not.

#![allow(clippy::unwrap_used)]

use redis_idem::sql::{Recorded, SqlRecords};
use redis_idem::{Begin, Claim, Fingerprint, Idempotency, Namespace, Options, Redis, Scope};
use redis_patterns_testkit::faults::process::{self, Worker};
use redis_patterns_testkit::harness::{TestRedis, own};
use redis_patterns_testkit::servers::Options as ServerOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;
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

struct Storm {
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

    /// Kills a worker wherever it is, forgets the scripts, or forgets everything.
    async fn fault(&mut self, number: usize) {
        self.faults[number % 3] += 1;
        match number % 3 {
            0 => {
                let mut victim = self.workers.remove(0);
                victim.kill().await.unwrap();
                self.spawn().await;
            }
            1 => drop(self.t.admin().cmd(&["SCRIPT", "FLUSH"]).unwrap()),
            _ => drop(self.t.admin().cmd(&["FLUSHALL"]).unwrap()),
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
}

/// Payments, and keys that were paid for.
async fn storm(mode: Mode) -> (i64, i64) {
    let server = own::standalone(ServerOptions::new()).await;
    let t = TestRedis::at(server.url()).await;
    let folder = std::env::temp_dir().join(format!("redis-idem-{}-{mode:?}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("payments.sqlite");
    let pool = database(&file).await;
    sqlx::query("CREATE TABLE payments (key TEXT NOT NULL)").execute(&pool).await.unwrap();
    SqlRecords::new(pool.clone()).create_table().await.unwrap();
    let mut storm = Storm { t, pool, file, mode, workers: Vec::new(), faults: [0; 3] };
    for _ in 0..WORKERS {
        storm.spawn().await;
    }
    let [ran, replayed, other] = storm.rage().await;
    let counted = "SELECT count(*), count(DISTINCT key) FROM payments";
    let (payments, paid): (i64, i64) = sqlx::query_as(counted).fetch_one(&storm.pool).await.unwrap();
    let [killed, scripts, all] = storm.faults;
    println!(
        "{mode:?}: {payments} payments for {paid} keys; answers: {ran} ran, {replayed} replayed, {other} busy or \
         failed; faults: {killed} workers killed, scripts flushed {scripts} times, everything {all} times"
    );
    assert!(replayed > 100, "the storm was too weak: {replayed} replays");
    assert!(killed > 5 && all > 5, "too few faults");
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
