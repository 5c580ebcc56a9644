//! Postgres by each way that works here.

use std::collections::HashSet;
use std::path::Path;
use std::process::Command;

use redis_patterns_testkit::servers::{Backend, Postgres};

#[test]
fn postgres_answers_a_query_and_is_gone_after_drop() {
    let mut ran = 0;
    for backend in [Backend::Native, Backend::Compose] {
        let postgres = match Postgres::start_with(backend) {
            Ok(postgres) => postgres,
            Err(why) => {
                crate::skip(&format!("Postgres by {backend}: {why}"));
                continue;
            }
        };
        ran += 1;
        assert!(postgres.is_ours());
        query(postgres.url());
        let authority = postgres.url().rsplit_once('@').unwrap().1;
        let address = authority.split('/').next().unwrap().to_owned();
        drop(postgres);
        assert!(std::net::TcpStream::connect(&address).is_err(), "{backend} left {address}");
    }
    assert!(ran > 0, "Postgres cannot be started here at all, see above");
}

/// That it takes connections was seen by `start`; that it works is asked where psql is there.
fn query(url: &str) {
    match Command::new("psql").args([url, "-Atc", "select 6 * 7"]).output() {
        Ok(output) => {
            assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "42", "{output:?}");
        }
        Err(why) => eprintln!("psql is not here ({why}): connected only"),
    }
}

#[test]
fn nothing_of_postgres_stays_in_shared_memory() {
    // The second column names the segment; other tests' servers come and go meanwhile.
    let segments = || {
        let list = std::fs::read_to_string("/proc/sysvipc/shm").unwrap_or_default();
        list.lines()
            .filter_map(|line| line.split_whitespace().nth(1).map(str::to_owned))
            .collect::<HashSet<_>>()
    };
    let before = segments();
    if !Path::new("/proc/sysvipc/shm").exists() {
        crate::skip("this system does not list shared memory");
        return;
    }
    match Postgres::start_with(Backend::Native) {
        Ok(postgres) => {
            let ours: HashSet<_> = segments().difference(&before).cloned().collect();
            drop(postgres);
            assert!(!ours.is_subset(&segments()), "Postgres was ended without tidying up");
        }
        Err(why) => crate::skip(&format!("no native Postgres: {why}")),
    }
}
