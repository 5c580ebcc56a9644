//! Several limits at once, slots, reservations, and limits that change: each against the oracle.

use crate::common::{clocked, many};
use crate::oracle::{Oracle, PERIOD, PERIOD_US, Run, WIDTH_US, schedules};
use redis_patterns_core::BootInstant;
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_ratelimit::{
    Calendar, Concurrency, ConcurrencyLimiter, Entry, FixedWindow, RateLimiter, Reserved, Settled,
    SlidingLog, SlidingWindow,
};
use std::num::NonZeroU32;
use std::time::Duration;

const DAY_US: u64 = 86_400_000_000;

on_every_topology! {
    async fn a_mix_admits_what_every_one_of_its_policies_would(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        let (mut admitted, mut denied) = (0, 0);
        for (number, (limit, steps)) in schedules(24).into_iter().enumerate() {
            let [log, day, short] = [limit, 2 * limit, limit / 2 + 4];
            let mut run = Run::new(&redis, &clock, SlidingLog::new("log", many(log), PERIOD).unwrap(), number);
            run.limiter = run.limiter
                .and(FixedWindow::calendar("day", many(day), Calendar::Day).unwrap())
                .and_then(|limiter| limiter.and(SlidingLog::new("short", many(short), PERIOD / 6).unwrap()))
                .unwrap();
            for (advance, cost) in steps {
                run.advance(advance);
                let cost = cost.min(short);
                let today = |oracle: &Oracle| -> u64 {
                    oracle.0.iter().filter(|(at, _)| at / DAY_US == run.now / DAY_US).map(|(_, units)| units).sum()
                };
                let room = [
                    log - run.oracle.sum(run.now, PERIOD_US),
                    day - today(&run.oracle),
                    short - run.oracle.sum(run.now, WIDTH_US),
                ];
                let decision = run.check(cost).await;
                assert_eq!(decision.is_allowed(), room.iter().all(|room| *room >= cost), "{room:?}, {cost}");
                let left: Vec<u64> = decision.policies().iter().map(|state| state.remaining).collect();
                assert_eq!(left, room.map(|room| room - decision.charged));
                for (state, room) in decision.policies().iter().zip(room) {
                    assert_eq!(state.retry_after.is_zero(), room >= cost, "{}", state.policy);
                }
                admitted += u64::from(decision.is_allowed());
                denied += u64::from(!decision.is_allowed());
            }
        }
        assert!(admitted > 200 && denied > 200, "{admitted} admitted, {denied} denied");
        redis.close().await;
    }

    /// Leases end by the server's time, to the microsecond, and never more are live than the limit.
    async fn slots_are_never_more_than_the_limit(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        let (mut admitted, mut denied) = (0, 0);
        for (number, (limit, steps)) in schedules(16).into_iter().enumerate() {
            let limit = limit % 5 + 1;
            let concurrency = Concurrency::new("slots", many(limit), PERIOD).unwrap();
            let limiter = ConcurrencyLimiter::new(redis.clone(), concurrency);
            let (subject, mut now, mut live) = (format!("run-{number}"), 0, Vec::new());
            for (step, (advance, _)) in steps.into_iter().enumerate() {
                let advance = advance % (PERIOD_US / 2);
                clock.advance(Duration::from_micros(advance));
                now += advance;
                live.retain(|(end, _)| *end > now);
                if step % 7 == 6 && !live.is_empty() {
                    let (_, slot): (u64, redis_ratelimit::Slot) = live.swap_remove(step % live.len());
                    assert!(slot.release().await.unwrap());
                }
                match limiter.enter(&subject).await.unwrap() {
                    Entry::Admitted(slot) => {
                        assert!(slot.is_held());
                        live.push((now + PERIOD_US, slot));
                        admitted += 1;
                    }
                    Entry::Denied(decision) => {
                        denied += 1;
                        assert_eq!(live.len() as u64, limit, "denied though a slot was free");
                        let first = live.iter().map(|(end, _)| end - now).min().unwrap();
                        assert_eq!(decision.retry_after(), Some(Duration::from_micros(first)));
                    }
                }
                assert!(live.len() as u64 <= limit, "{} live of {limit}", live.len());
            }
            // The clock stands still, so what the drops give back is not awaited.
        }
        assert!(admitted > 100 && denied > 100, "{admitted} admitted, {denied} denied");
        redis.close().await;
    }

    /// What is committed counts, what is not comes back to its own time, and the bound holds throughout.
    async fn reservations_count_as_what_was_committed(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        let (mut settled, mut overdue) = (0, 0);
        for (number, (limit, steps)) in schedules(16).into_iter().enumerate() {
            let mut run = Run::new(&redis, &clock, SlidingLog::new("log", many(limit), PERIOD).unwrap(), number);
            let mut open = Vec::new();
            for (step, (advance, estimate)) in steps.into_iter().enumerate() {
                run.advance(advance % WIDTH_US);
                // The deadline of a reservation is over: the next check gives it back.
                open.retain(|(take, due, _): &(usize, u64, redis_ratelimit::Reservation)| {
                    if *due <= run.now {
                        run.oracle.0[*take].1 = 0;
                        overdue += 1;
                    }
                    *due > run.now
                });
                let held = run.oracle.sum(run.now, PERIOD_US);
                let reserved = run.limiter.reserve(&run.subject, many(estimate), PERIOD / 4).await.unwrap();
                match reserved {
                    Reserved::Held(reservation) => {
                        assert!(held + estimate <= limit, "{held} held, {estimate} reserved of {limit}");
                        run.oracle.0.push((run.now, estimate));
                        open.push((run.oracle.0.len() - 1, run.now + PERIOD_US / 4, reservation));
                    }
                    Reserved::Denied(_) => assert!(held + estimate > limit, "{held} held, {estimate} of {limit}"),
                }
                if step % 3 == 2 && !open.is_empty() {
                    let (take, _, mut reservation) = open.swap_remove(step % open.len());
                    let reserved = run.oracle.0[take].1;
                    let actual = (step as u64) % (reserved + 1);
                    let expected = Settled::Now { returned: reserved - actual };
                    assert_eq!(reservation.commit(actual).await.unwrap(), expected);
                    run.oracle.0[take].1 = actual;
                    settled += 1;
                }
                assert!(run.oracle.worst(PERIOD_US) <= limit);
            }
            // As a process that dies: its reservations are given back by their deadlines.
            open.into_iter().for_each(|(_, _, reservation)| std::mem::forget(reservation));
        }
        assert!(settled > 50 && overdue > 50, "{settled} settled, {overdue} overdue");
        redis.close().await;
    }

    /// The limit and the buckets change at every step; what is held against the subject does not.
    async fn limits_that_change_all_the_time_keep_their_bound(t: TestRedis) {
        let (redis, clock) = clocked(&t).await;
        for (number, (limit, steps)) in schedules(16).into_iter().enumerate() {
            let log = |limit| SlidingLog::new("log", many(limit), PERIOD).unwrap();
            let window = |limit, buckets| {
                let policy = SlidingWindow::new("window", many(limit), PERIOD).unwrap();
                policy.buckets(NonZeroU32::new(buckets).unwrap()).unwrap()
            };
            let mut logs = Run::new(&redis, &clock, log(limit), 2 * number);
            let mut windows = Run::new(&redis, &clock, window(limit, 6), 2 * number + 1);
            for (step, (advance, cost)) in steps.into_iter().enumerate() {
                logs.advance(advance);
                windows.now = logs.now;
                let limit = 7 + (limit * step as u64) % 23;
                logs.limiter = RateLimiter::new(redis.clone(), log(limit));
                let held = logs.oracle.sum(logs.now, PERIOD_US);
                assert_eq!(logs.check(cost).await.is_allowed(), held + cost <= limit, "log: {held}, {cost} of {limit}");
                let buckets = [6, 10, 1, 60][step % 4];
                windows.limiter = RateLimiter::new(redis.clone(), window(limit, buckets));
                let (held, width) = (windows.oracle.sum(windows.now, PERIOD_US), PERIOD_US / u64::from(buckets));
                // A bucket that was wider before may count for as much longer.
                let held_at_most = windows.oracle.sum(windows.now, PERIOD_US + width.max(PERIOD_US));
                match windows.check(cost).await.is_allowed() {
                    true => assert!(held + cost <= limit, "window: {held}, {cost} of {limit}"),
                    false => assert!(held_at_most + cost > limit, "window: denied at {held_at_most}, {cost} of {limit}"),
                }
            }
        }
        redis.close().await;
    }
}

/// A real clock, a real lease: what a dead holder had is free when its lease is over, not before.
#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_nobody_extends_is_free_after_its_lease_and_not_before() {
    let Some(t) = TestRedis::standalone().await else { return };
    let lease = Duration::from_millis(400);
    let limiter =
        ConcurrencyLimiter::new(t.redis.clone(), Concurrency::new("slots", many(1), lease).unwrap());
    // The runtime of the holder goes, and with it the task that would extend it.
    let taken = BootInstant::now();
    let holder = std::thread::spawn({
        let url = t.url().to_owned();
        let namespace = t.redis.namespace().clone();
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let slot = runtime.block_on(async {
                let redis =
                    redis_patterns_core::Redis::builder(&url).namespace(namespace).connect().await.unwrap();
                let concurrency = Concurrency::new("slots", many(1), lease).unwrap();
                match ConcurrencyLimiter::new(redis, concurrency).enter("ann").await.unwrap() {
                    Entry::Admitted(slot) => slot,
                    Entry::Denied(decision) => panic!("{decision:?}"),
                }
            });
            std::mem::forget(slot);
        }
    });
    holder.join().unwrap();
    let again = redis_patterns_testkit::harness::eventually("the slot is free", async || {
        matches!(limiter.enter("ann").await.unwrap(), Entry::Admitted(_))
    });
    again.await;
    assert!(taken.elapsed() >= lease, "free after {:?}", taken.elapsed());
    t.delete_keys().await;
}
