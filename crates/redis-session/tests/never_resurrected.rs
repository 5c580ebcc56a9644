//! Processes use sessions without a pause while these are revoked and everything breaks: once a
//! revocation was answered, no load finds the session. What a failover loses is counted apart.

#![allow(clippy::unwrap_used)]

use redis_patterns_testkit::faults::process::{self, Worker};
use redis_patterns_testkit::faults::redis::{client_kill_normal, script_flush};
use redis_patterns_testkit::harness::{TestRedis, own};
use redis_patterns_testkit::servers::{Cluster, Node, Options as ServerOptions};
use redis_session::{LogIn, Login, Namespace, Options, Redis, SessionId, Sessions};
use std::sync::Arc;
use std::sync::mpsc::TryRecvError;
use std::time::Duration;

const WORKERS: usize = 3;
const ROUNDS: usize = 10;
const SESSIONS: usize = 48;
const LATE: Duration = Duration::from_secs(60);

/// Not a test by itself: reads, changes and prolongs the sessions it was told of until it is killed.
#[test]
fn using_worker() {
    if !process::is_worker("using_worker") {
        return;
    }
    let lines = process::exit_when_parent_dies();
    let (url, namespace) = (lines.recv().unwrap(), lines.recv().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(async {
        let redis = Redis::connect(&url).await.unwrap().with_namespace(Namespace::new(&namespace).unwrap());
        let options = Options::new().touch_after_percent(0);
        let sessions = Sessions::<u64>::with_options(redis, options).unwrap();
        let (mut ids, mut calls) = (Vec::new(), 0_usize);
        loop {
            let told = if ids.is_empty() {
                lines.recv().map_err(|_| TryRecvError::Disconnected)
            } else {
                lines.try_recv()
            };
            match told {
                Ok(line) => {
                    process::say(&format!("calls {calls}"));
                    ids = line.split(' ').filter_map(SessionId::parse).collect();
                }
                Err(TryRecvError::Empty) => {}
                Err(TryRecvError::Disconnected) => return,
            }
            let id = |step: usize| &ids[(calls + step * 7) % ids.len()];
            // What each answers is of no interest, only what it leaves.
            let _ = tokio::join!(
                sessions.load(id(0)),
                sessions.update(id(1), &1),
                sessions.modify(id(2), |number| *number += 1),
                sessions.extend(id(3)),
                sessions.update(id(4), &2),
            );
            calls += 5;
        }
    });
}

struct Storm {
    cluster: Arc<Cluster>,
    t: TestRedis,
    sessions: Sessions<u64>,
    workers: Vec<Worker>,
    /// What the workers have done, those that were killed included.
    calls: usize,
    faults: [u64; 4],
}

impl Storm {
    async fn worker(&self) -> Worker {
        let mut worker = Worker::spawn_self_test("using_worker", &[]).unwrap();
        worker.send_line(self.cluster.url()).await.unwrap();
        worker.send_line(self.t.redis.namespace().as_str()).await.unwrap();
        worker
    }

    /// Sessions of eight users, half of them ended one by one, half by their user.
    async fn begin(&mut self, round: usize) -> Vec<(String, SessionId)> {
        let mut begun = Vec::new();
        for number in 0..SESSIONS {
            let user = format!("user-{round}-{}", number % 8);
            let LogIn::Begun(id) = self.sessions.log_in(Login::of(&user), &0).await.unwrap() else {
                panic!()
            };
            begun.push((user, id));
        }
        let line = begun.iter().map(|(_, id)| id.expose()).collect::<Vec<_>>().join(" ");
        for worker in &mut self.workers {
            worker.send_line(&line).await.unwrap();
            let said = worker.next_line(LATE).await.unwrap();
            self.calls += said.strip_prefix("calls ").unwrap().parse::<usize>().unwrap() / 10;
        }
        begun
    }

    async fn fault(&mut self, round: usize) {
        let nodes: Vec<String> = self.cluster.primaries().into_iter().map(Node::address).collect();
        match round % 5 {
            0 => {
                script_flush(&nodes).await.unwrap();
                self.faults[0] += 1;
            }
            1 | 2 => self.faults[1] += client_kill_normal(&nodes).await.unwrap(),
            3 => {
                self.workers[0].kill().await.unwrap();
                self.workers[0] = self.worker().await;
                self.faults[2] += 1;
            }
            _ => {
                let cluster = self.cluster.clone();
                let slot = [100, 6_000, 12_000][round / 5 % 3];
                let done = tokio::task::spawn_blocking(move || {
                    let old = cluster.primary_of(slot)?;
                    old.kill()?;
                    cluster.wait_new_primary(slot, old)?;
                    old.restart()?;
                    cluster.wait_healthy()
                });
                done.await.unwrap().unwrap();
                self.faults[3] += 1;
            }
        }
    }
}

/// Ends every session; answers those whose end was acknowledged.
async fn revoke(sessions: Sessions<u64>, begun: Vec<(String, SessionId)>) -> Vec<SessionId> {
    let mut ended = Vec::new();
    for (number, (user, id)) in begun.iter().enumerate() {
        let acknowledged = match number % 8 {
            0..4 => sessions.revoke(id).await.is_ok(),
            _ if number < 8 => {
                let all = sessions.revoke_all(user).await.is_ok();
                if all {
                    ended.extend(begun.iter().filter(|(of, _)| of == user).map(|(_, id)| id.clone()));
                }
                false
            }
            _ => false,
        };
        if acknowledged {
            ended.push(id.clone());
        }
    }
    ended
}

async fn is_there(sessions: &Sessions<u64>, id: &SessionId) -> bool {
    for _ in 0..20 {
        if let Ok(found) = sessions.load(id).await {
            return found.is_some();
        }
    }
    panic!("the cluster did not answer again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn never_resurrected() {
    let cluster = Arc::new(own::cluster(ServerOptions::new()).await);
    let t = TestRedis::at(cluster.url()).await;
    let sessions = Sessions::new(t.redis.clone());
    let mut storm = Storm { cluster, t, sessions, workers: Vec::new(), calls: 0, faults: [0; 4] };
    for _ in 0..WORKERS {
        let worker = storm.worker().await;
        storm.workers.push(worker);
    }
    let (mut acknowledged, mut resurrected, mut lost) = (Vec::new(), 0, 0);
    for round in 0..ROUNDS {
        let begun = storm.begin(round).await;
        let ending = tokio::spawn(revoke(storm.sessions.clone(), begun));
        storm.fault(round).await;
        let ended = ending.await.unwrap();
        for id in &ended {
            let there = is_there(&storm.sessions, id).await;
            if there && round % 5 == 4 {
                lost += 1;
            } else if there {
                resurrected += 1;
            }
        }
        if round % 5 != 4 {
            acknowledged.extend(ended);
        }
    }
    for id in &acknowledged {
        resurrected += usize::from(is_there(&storm.sessions, id).await);
    }
    let [flushes, cuts, kills, failovers] = storm.faults;
    println!(
        "revoked {} | calls by others at least {} | script flushes {flushes}, connections cut {cuts}, \
         workers killed {kills}, failovers {failovers} | resurrected {resurrected} | lost by failovers {lost}",
        acknowledged.len(),
        storm.calls,
    );
    assert_eq!(resurrected, 0);
    assert!(acknowledged.len() > SESSIONS * ROUNDS / 2, "{} were revoked", acknowledged.len());
    assert!(
        storm.calls > 100 && flushes > 0 && cuts > 0 && kills > 0 && failovers > 0,
        "too little happened"
    );
}
