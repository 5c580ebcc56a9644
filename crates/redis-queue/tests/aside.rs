//! Large payloads, kept beside the queue.

mod common;

use async_trait::async_trait;
use bytes::Bytes;
use common::{eventually, next, processing, reader};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_queue::{Backoff, BlobError, BlobStore, JobId, Pushed, Queue, QueueOptions, WorkerOptions};
use std::collections::HashMap;
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);
const LARGE: [u8; 10_000] = [b'x'; 10_000];

fn over() -> NonZeroUsize {
    NonZeroUsize::new(4_096).unwrap()
}

async fn payloads(t: &TestRedis) -> Vec<String> {
    t.keys().await.into_iter().filter(|key| key.contains("payload.")).collect()
}

/// A store in memory that can be told to fail.
#[derive(Clone, Debug, Default)]
struct Memory(Arc<Mutex<(HashMap<JobId, Bytes>, bool)>>);

impl Memory {
    fn answer<T>(&self, act: impl FnOnce(&mut HashMap<JobId, Bytes>) -> T) -> Result<T, BlobError> {
        let mut state = self.0.lock().unwrap();
        if state.1 { Err("the store is away".into()) } else { Ok(act(&mut state.0)) }
    }
}

#[async_trait]
impl BlobStore for Memory {
    async fn put(&self, id: JobId, payload: Bytes) -> Result<(), BlobError> {
        self.answer(|blobs| drop(blobs.insert(id, payload)))
    }
    async fn get(&self, id: JobId) -> Result<Option<Bytes>, BlobError> {
        self.answer(|blobs| blobs.get(&id).cloned())
    }
    async fn delete(&self, id: JobId) -> Result<(), BlobError> {
        self.answer(|blobs| drop(blobs.remove(&id)))
    }
}

on_every_topology! {
    async fn a_large_payload_is_kept_aside_and_deleted_with_its_job(t: TestRedis) {
        let queue = Queue::with_options(t.redis.clone(), "q", QueueOptions::default().aside(over(), HOUR));
        assert!(queue.push_many([&LARGE[..], &LARGE[..4_096]]).await.unwrap().is_accepted());
        assert_eq!(payloads(&t).await.len(), 1, "only what is larger");
        let ttl = t.ttl_ms(&payloads(&t).await[0]).await;
        assert!((1..=3_600_000).contains(&ttl), "{ttl}");
        let seen: Arc<Mutex<Vec<usize>>> = Arc::default();
        let noted = seen.clone();
        let options = WorkerOptions::default().backoff(Backoff::new(Duration::from_millis(1), Duration::from_millis(5)));
        let worker = queue.run(options, move |job| {
            noted.lock().unwrap().push(job.payload().len());
            let first = job.failures() == 0;
            async move { if first { Err("again") } else { Ok(()) } }
        }).await.unwrap();
        eventually("both are done", || async { t.keys().await.iter().all(|key| key.contains("leases") || key.contains("beats")) }).await;
        assert_eq!(worker.stop().await.done, 2);
        let mut seen = seen.lock().unwrap().clone();
        seen.sort_unstable();
        assert_eq!(seen, [4_096, 4_096, 10_000, 10_000]);
    }

    async fn a_delay_is_added_to_the_time_that_a_payload_is_kept(t: TestRedis) {
        let queue = Queue::with_options(t.redis.clone(), "q", QueueOptions::default().aside(over(), HOUR));
        queue.push_in(HOUR * 10, LARGE).await.unwrap();
        let ttl = t.ttl_ms(&payloads(&t).await[0]).await;
        assert!(ttl > 10 * 3_600_000, "{ttl}");
    }

    async fn a_lost_payload_makes_a_dead_letter_that_says_so(t: TestRedis) {
        let queue = Queue::with_options(t.redis.clone(), "q", QueueOptions::default().aside(over(), HOUR));
        assert!(queue.push_many([&LARGE[..], b"small"]).await.unwrap().is_accepted());
        let lost = payloads(&t).await.pop().unwrap();
        tokio::task::spawn_blocking({
            let nodes = t.admin_nodes();
            move || for mut node in nodes { let _ = node.cmd(&["PEXPIREAT", &lost, "1"]); }
        }).await.unwrap();
        let worker = queue.run(WorkerOptions::default(), |_| async {}).await.unwrap();
        eventually("it is given up", || async { queue.stats().await.unwrap().dead == 1 }).await;
        eventually("the other is done", || async {
            queue.depth().await.unwrap() == 0 && processing(&t.redis, "q").await == 0
        }).await;
        assert_eq!(worker.stop().await.done, 1);
        let letter = queue.dead_letters(None, 1).await.unwrap().pop().unwrap();
        assert_eq!(letter.why, "its payload, which was kept aside, is gone");
        assert!(letter.job.unwrap().is_aside());
    }

    async fn what_is_refused_leaves_no_payload_behind(t: TestRedis) {
        let options = QueueOptions::default().aside(over(), HOUR).max_len(NonZeroU64::MIN);
        let queue = Queue::with_options(t.redis.clone(), "q", options);
        assert!(queue.push_unique("key", HOUR, LARGE).await.unwrap().is_accepted());
        let again = queue.push_unique("key", HOUR, LARGE).await.unwrap();
        assert!(matches!(again, Pushed::Duplicate { .. }));
        assert_eq!(queue.push(LARGE).await.unwrap(), Pushed::Full { depth: 1 });
        eventually("the payloads of both are gone", || async { payloads(&t).await.len() == 1 }).await;
        let reader = reader(&queue).await;
        let job = next(&reader).await;
        assert_eq!((job.payload().len(), job.is_aside()), (0, true));
        assert_eq!(queue.payload(&job).await.unwrap().unwrap(), LARGE[..]);
        assert!(job.ack().await.unwrap().is_done());
        eventually("its payload is gone", || async { payloads(&t).await.is_empty() }).await;
    }

    async fn a_store_of_ones_own_is_used_and_its_failures_lose_nothing(t: TestRedis) {
        let store = Memory::default();
        let queue = Queue::with_options(t.redis.clone(), "q", QueueOptions::default().aside_in(over(), store.clone()));
        assert!(queue.push(LARGE).await.unwrap().is_accepted());
        assert_eq!((payloads(&t).await.len(), store.0.lock().unwrap().0.len()), (0, 1));
        store.0.lock().unwrap().1 = true;
        assert!(queue.push(LARGE).await.is_err());
        assert_eq!(queue.depth().await.unwrap(), 1, "no job without its payload");
        let options = WorkerOptions::default().backoff(Backoff::new(Duration::from_millis(1), Duration::from_millis(5)));
        let worker = queue.run(options, |job| async move { assert_eq!(job.payload(), LARGE); }).await.unwrap();
        eventually("it was tried", || async {
            let stats = queue.stats().await.unwrap();
            stats.pending == 0
        }).await;
        store.0.lock().unwrap().1 = false;
        eventually("it is done and its payload gone", || async { store.0.lock().unwrap().0.is_empty() }).await;
        assert_eq!(worker.stop().await.done, 1);
    }
}
