//! Key names against the server's own rule, for any id.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use redis_patterns_core::{Namespace, Tag, slot};
use redis_patterns_testkit::faults::hostile;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use std::cell::RefCell;
use std::collections::HashSet;

#[tokio::test(flavor = "multi_thread")]
async fn the_slot_is_the_servers() {
    let Some(t) = TestRedis::cluster().await else { return };
    let conn = RefCell::new(t.admin());
    let keyslot = |key: &str| conn.borrow_mut().cmd(&["CLUSTER", "KEYSLOT", key]).unwrap().int().unwrap();
    let ids = (proptest::collection::vec(any::<u8>(), 0..200), "[ -~]{0,40}");
    let checked = TestRunner::default().run(&ids, |(id, raw)| {
        let key = Namespace::default().part("p", &Tag::of(&id), "x");
        prop_assert_eq!(i64::from(key.slot()), keyslot(key.as_str()));
        prop_assert_eq!(i64::from(slot(raw.as_bytes())), keyslot(&raw));
        Ok(())
    });
    checked.unwrap();
}

on_every_topology! {
    async fn hostile_ids_have_keys_of_their_own(t: TestRedis) {
        let ids = hostile::ids();
        let keys: HashSet<_> = ids.iter().map(|id| t.redis.namespace().key("p", &Tag::of(id))).collect();
        assert_eq!(keys.len(), ids.len());
        assert!(keys.iter().all(|key| key.as_bytes().len() < 160 && key.as_str().is_ascii()));
    }
}

proptest! {
    #[test]
    fn different_ids_have_different_tags(left: Vec<u8>, right: Vec<u8>) {
        prop_assert_eq!(left == right, Tag::of(&left) == Tag::of(&right));
    }

    #[test]
    fn lists_of_ids_do_not_run_into_each_other(left: Vec<Vec<u8>>, right: Vec<Vec<u8>>) {
        let tag = |ids: &[Vec<u8>]| Tag::of_all(&ids.iter().map(Vec::as_slice).collect::<Vec<_>>());
        prop_assert_eq!(left == right, tag(&left) == tag(&right));
    }

    #[test]
    fn no_id_leaves_its_braces(id: Vec<u8>, part in "[ -~]{0,20}") {
        let key = Namespace::default().part("p", &Tag::of(&id), &part);
        let text = key.as_str();
        prop_assert_eq!(text.matches(['{', '}']).count(), 2);
        prop_assert_eq!(text.matches(':').count(), 3);
        prop_assert_eq!(slot(text.as_bytes()), key.slot());
    }
}
