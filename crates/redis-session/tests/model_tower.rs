//! The store for tower-sessions beside the simplest program that does the same: two requests that
//! load, change, save, cycle and end one session in any order.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis_patterns_testkit::harness::TestRedis;
use redis_session::tower_sessions::RedisStore;
use std::collections::{BTreeMap, HashMap};
use time::{Duration, OffsetDateTime};
use tower_sessions_core::SessionStore;
use tower_sessions_core::session::{Id, Record};

const CASES: u32 = 150;
const NAMES: [&str; 3] = ["a", "b", "c"];

/// One step of one of the requests.
#[derive(Clone, Copy, Debug)]
enum Step {
    Begin,
    Load,
    Set(usize, i32),
    Remove(usize),
    Save,
    /// What `Session::cycle_id` and the save after it do.
    Cycle,
    Delete,
}

fn steps() -> impl Strategy<Value = Vec<(usize, Step)>> {
    let step = (0..12_u8, 0..3_usize, 0..3_i32).prop_map(|(kind, name, value)| match kind {
        0 => Step::Begin,
        1..=3 => Step::Load,
        4..=5 => Step::Set(name, value),
        6 => Step::Remove(name),
        7..=9 => Step::Save,
        10 => Step::Cycle,
        _ => Step::Delete,
    });
    proptest::collection::vec((0..2_usize, step), 1..40)
}

type Data = BTreeMap<String, i32>;

/// A request with the session as it sees it, and as it found it.
struct Request {
    record: Record,
    found: (Id, Data),
}

/// What the server should hold.
#[derive(Default)]
struct Model {
    live: HashMap<Id, Data>,
    ended: HashMap<Id, u32>,
}

impl Model {
    fn delete(&mut self, id: Id) {
        if self.live.remove(&id).is_some() {
            self.ended.insert(id, 1);
        } else if let Some(times) = self.ended.get_mut(&id) {
            *times += 1;
        }
    }

    fn save(&mut self, request: &Request) {
        let Some(live) = self.live.get_mut(&request.record.id) else { return };
        let (now, found) = (own(&request.record), &request.found.1);
        live.retain(|name, _| now.contains_key(name) || !found.contains_key(name));
        live.extend(now.into_iter().filter(|(name, value)| found.get(name) != Some(value)));
    }
}

/// The data of a record without what the store put there.
fn own(record: &Record) -> Data {
    let number = |value: &serde_json::Value| value.as_i64().and_then(|number| i32::try_from(number).ok());
    let pairs = record.data.iter().filter(|(name, _)| NAMES.contains(&name.as_str()));
    pairs.map(|(name, value)| (name.clone(), number(value).unwrap())).collect()
}

async fn follow(t: &TestRedis, steps: &[(usize, Step)]) {
    let store = RedisStore::new(t.redis.clone());
    let (mut model, mut requests, mut current) = (Model::default(), [None, None], Id(7));
    for (slot, step) in steps {
        let request: &mut Option<Request> = &mut requests[*slot];
        match (step, request.as_mut()) {
            (Step::Begin, _) => {
                let expiry_date = OffsetDateTime::now_utc() + Duration::hours(1);
                let mut record = Record { id: Id::default(), data: HashMap::new(), expiry_date };
                store.create(&mut record).await.unwrap();
                current = record.id;
                model.live.insert(current, Data::new());
                *request = Some(Request { record, found: (current, Data::new()) });
            }
            (Step::Load, _) => {
                let loaded = store.load(&current).await.unwrap();
                assert_eq!(loaded.as_ref().map(own), model.live.get(&current).cloned());
                *request = loaded.map(|record| Request { found: (current, own(&record)), record });
            }
            (Step::Set(name, value), Some(request)) => {
                request.record.data.insert(NAMES[*name].to_owned(), (*value).into());
            }
            (Step::Remove(name), Some(request)) => {
                request.record.data.remove(NAMES[*name]);
            }
            (Step::Save, Some(request)) => {
                store.save(&request.record).await.unwrap();
                model.save(request);
            }
            (Step::Delete, _) => {
                store.delete(&current).await.unwrap();
                model.delete(current);
            }
            (Step::Cycle, Some(cycling)) => {
                store.delete(&cycling.record.id).await.unwrap();
                model.delete(cycling.record.id);
                cycling.record.id = Id::default();
                let created = store.create(&mut cycling.record).await;
                assert_eq!(created.is_ok(), model.ended.get(&cycling.found.0) == Some(&1));
                if created.is_ok() {
                    current = cycling.record.id;
                    cycling.found = (current, own(&cycling.record));
                    model.live.insert(current, own(&cycling.record));
                } else {
                    *request = None;
                }
            }
            (Step::Set(..) | Step::Remove(_) | Step::Save | Step::Cycle, None) => {}
        }
    }
    t.delete_keys().await;
}

#[test]
fn the_store_follows_the_model() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let Some(t) = runtime.block_on(TestRedis::standalone()) else { return };
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    let ran = TestRunner::new(config).run(&steps(), |steps| {
        runtime.block_on(follow(&t, &steps));
        Ok(())
    });
    ran.unwrap();
}
