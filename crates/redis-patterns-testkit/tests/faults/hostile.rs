//! The corpus: everything named in it is in it, once, and it comes back from a server unchanged.

use super::{SERVER, connect};
use redis_patterns_testkit::faults::hostile::{ids, small_ids};
use redis_patterns_testkit::faults::resp::Reply;
use std::collections::BTreeSet;

#[test]
fn the_corpus_is_distinct_and_holds_what_it_says() {
    let ids = ids();
    let set: BTreeSet<&[u8]> = ids.iter().map(Vec::as_slice).collect();
    assert_eq!(set.len(), ids.len(), "a doubled id tests nothing twice");
    let named: &[&[u8]] = &[
        b"",
        b"}",
        b"{",
        b"{}",
        b"{}x",
        b"a}b",
        b"{a}{b}",
        b":",
        b"a:b",
        b"a::b",
        b"a",
        b"a:",
        b"%",
        b"%7B",
        b"\0",
        b"\r\n",
        b"\xff\xfe",
        b"007",
        b"1e3",
        b"-0",
        b"9007199254740993",
        b"*",
        b"?",
        b"[a-z]",
        b"x:ready",
        b"x:set",
        b"+OK\r\n",
        b"return 1",
    ];
    for id in named {
        assert!(set.contains(id), "{}", id.escape_ascii());
    }
    for len in [1, 64, 4_096, 65_536, 1 << 20] {
        assert!(ids.iter().any(|id| id.len() == len), "none of {len} bytes");
    }
    assert!(ids.iter().any(|id| std::str::from_utf8(id).is_err()));
    assert!(
        ids.iter().any(|id| id.windows(2).any(|w| w == "\u{5d0}".as_bytes() || w == "\u{5e9}".as_bytes())),
        "no RTL"
    );
}

#[test]
fn the_small_corpus_is_the_corpus_up_to_4_kib() {
    let (small, ids) = (small_ids(), ids());
    assert!(small.iter().all(|id| id.len() <= 4_096 && ids.contains(id)));
    assert_eq!(small.len(), ids.iter().filter(|id| id.len() <= 4_096).count());
    assert!(small.len() > 300, "{}", small.len());
}

#[tokio::test]
async fn every_id_is_a_key_and_a_value_of_its_own() {
    let mut conn = connect(SERVER.url()).await;
    for id in ids() {
        conn.call([&b"HSET"[..], b"hostile", &id, &id]).await.expect("a field may be anything");
    }
    for id in ids() {
        let reply = conn.call([&b"HGET"[..], b"hostile", &id]).await.expect("a read");
        assert_eq!(reply, Reply::Text(id));
    }
    let count = conn.call(["HLEN", "hostile"]).await.expect("a read").text();
    assert_eq!(count, ids().len().to_string());
}
