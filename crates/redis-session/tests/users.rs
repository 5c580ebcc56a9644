//! What a user's sessions have in common: a list, a limit, and an end.

#![allow(clippy::unwrap_used)]

mod common;

use common::{log_in, value};
use redis_patterns_core::{Args, Clock, Key, Redis, Tag, TestClock};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_session::{
    Extension, LogIn, Login, Options, Others, Revocation, Rotation, SessionId, SessionRef, Sessions, Swap,
    Update, WhenFull,
};
use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

const MINUTE: Duration = Duration::from_secs(60);
const START_US: i64 = 1_800_000_000_000_000;

async fn with_clock(t: &TestRedis, options: Options) -> (Sessions<u64>, TestClock) {
    let clock = TestClock::at_micros(START_US);
    let redis = at_clock(t, &clock).await;
    (Sessions::with_options(redis, options).unwrap(), clock)
}

async fn at_clock(t: &TestRedis, clock: &TestClock) -> Redis {
    let builder = Redis::builder(t.url()).namespace(t.redis.namespace().clone());
    Box::pin(builder.clock(Clock::Injected(clock.clone())).connect()).await.unwrap()
}

fn index_key(t: &TestRedis, name: &str) -> Key {
    let place = name.split(['{', '}']).nth(1).unwrap();
    t.redis.namespace().part("sess", &Tag::of(place), "index")
}

fn at_most(limit: u32, when_full: WhenFull) -> Options {
    Options::new().max_sessions(NonZeroU32::new(limit).unwrap(), when_full)
}

async fn listed(sessions: &Sessions<u64>, user: &str) -> Vec<SessionRef> {
    sessions.list(user).await.unwrap().iter().map(|device| device.session).collect()
}

on_every_topology! {
    async fn a_log_in_is_listed_with_its_device_until_it_ends(t: TestRedis) {
        let sessions = Sessions::<u64>::new(t.redis.clone());
        let phone = Login::of("42").device("phone");
        let LogIn::Begun(phone) = sessions.log_in(phone, &1).await.unwrap() else { panic!() };
        let plain = log_in(&sessions, "42", &2).await;
        let _other = log_in(&sessions, "43", &3).await;
        let devices = sessions.list("42").await.unwrap();
        let of = |id: &SessionId| devices.iter().find(|device| device.session == id.reference()).unwrap();
        assert_eq!((devices.len(), of(&phone).device.as_str(), of(&plain).device.as_str()), (2, "phone", ""));
        let about_now = SystemTime::now() - MINUTE..SystemTime::now() + MINUTE;
        for device in &devices {
            assert!(about_now.contains(&device.begun) && device.seen == device.begun, "{device:?}");
            assert_eq!(device.deadline, device.begun + 12 * 60 * MINUTE);
            assert!(device.ends_in <= 30 * MINUTE && device.ends_in > 29 * MINUTE);
        }
        assert_eq!(sessions.revoke(&phone).await.unwrap(), Revocation::Revoked);
        assert_eq!(listed(&sessions, "42").await, [plain.reference()]);
        assert_eq!(listed(&sessions, "nobody").await, []);
    }

    async fn a_listed_session_is_ended_by_its_name_and_by_its_user_alone(t: TestRedis) {
        let sessions = Sessions::<u64>::new(t.redis.clone());
        let id = log_in(&sessions, "42", &1).await;
        let which = SessionRef::parse(&id.reference().to_string()).unwrap();
        assert_eq!(sessions.revoke_listed("43", which).await.unwrap(), Revocation::AlreadyGone);
        assert_eq!(value(&sessions, &id).await, Some(1));
        assert_eq!(sessions.revoke_listed("42", which).await.unwrap(), Revocation::Revoked);
        assert_eq!(value(&sessions, &id).await, None);
        assert_eq!(sessions.revoke_listed("42", which).await.unwrap(), Revocation::AlreadyGone);
        assert_eq!(t.keys().await, Vec::<String>::new());
    }

    async fn revoke_all_ends_every_session_of_the_user_and_no_other(t: TestRedis) {
        let sessions = Sessions::<u64>::new(t.redis.clone());
        let ids = [log_in(&sessions, "42", &1).await, log_in(&sessions, "42", &2).await];
        let (other, nobody) = (log_in(&sessions, "43", &3).await, sessions.create(&4).await.unwrap());
        assert_eq!(sessions.revoke_all("42").await.unwrap(), Revocation::Revoked);
        for id in &ids {
            assert_eq!(sessions.update(id, &9).await.unwrap(), Update::Gone);
            assert_eq!(sessions.rotate(id, &9).await.unwrap(), Rotation::Gone);
            assert_eq!(sessions.extend(id).await.unwrap(), Extension::Gone);
            assert_eq!(sessions.revoke_others(id).await.unwrap(), Others::Gone);
            assert_eq!(value(&sessions, id).await, None);
            assert_eq!(sessions.revoke(id).await.unwrap(), Revocation::AlreadyGone);
        }
        assert_eq!(sessions.revoke_all("42").await.unwrap(), Revocation::AlreadyGone);
        assert_eq!((value(&sessions, &other).await, value(&sessions, &nobody).await), (Some(3), Some(4)));
        let again = log_in(&sessions, "42", &5).await;
        assert_eq!(value(&sessions, &again).await, Some(5));
        for id in &ids {
            assert_eq!(value(&sessions, id).await, None, "a new log-in revives nothing");
        }
    }

    async fn revoke_others_leaves_the_one_that_asks(t: TestRedis) {
        let sessions = Sessions::<u64>::new(t.redis.clone());
        let (own, two, three) =
            (log_in(&sessions, "42", &1).await, log_in(&sessions, "42", &2).await, log_in(&sessions, "42", &3).await);
        assert_eq!(sessions.revoke_others(&own).await.unwrap(), Others::Revoked(2));
        assert_eq!(value(&sessions, &own).await, Some(1));
        assert_eq!((value(&sessions, &two).await, value(&sessions, &three).await), (None, None));
        assert_eq!(listed(&sessions, "42").await, [own.reference()]);
        let nobody = sessions.create(&4).await.unwrap();
        assert_eq!(sessions.revoke_others(&nobody).await.unwrap(), Others::Revoked(0));
        assert_eq!(value(&sessions, &nobody).await, Some(4));
    }

    async fn a_rotated_session_stays_its_users(t: TestRedis) {
        let sessions = Sessions::<u64>::new(t.redis.clone());
        let login = Login::of("42").device("phone");
        let LogIn::Begun(old) = sessions.log_in(login, &1).await.unwrap() else { panic!() };
        let Rotation::Rotated(new) = sessions.rotate(&old, &2).await.unwrap() else { panic!() };
        let devices = sessions.list("42").await.unwrap();
        assert_eq!((devices.len(), devices[0].session, devices[0].device.as_str()), (1, new.reference(), "phone"));
        let _ = sessions.revoke_all("42").await.unwrap();
        assert_eq!(value(&sessions, &new).await, None);
    }

    async fn a_log_in_ends_the_session_that_it_replaces(t: TestRedis) {
        let sessions = Sessions::<u64>::new(t.redis.clone());
        let planted = sessions.create(&1).await.unwrap();
        let LogIn::Begun(id) = sessions.log_in(Login::of("42").replaces(&planted), &2).await.unwrap() else { panic!() };
        assert_eq!((value(&sessions, &planted).await, value(&sessions, &id).await), (None, Some(2)));
    }

    async fn over_the_limit_a_log_in_is_refused_until_one_ends(t: TestRedis) {
        let options = at_most(2, WhenFull::Refuse).idle(10 * MINUTE);
        let (sessions, clock) = with_clock(&t, options).await;
        let one = log_in(&sessions, "42", &1).await;
        clock.advance(5 * MINUTE);
        let two = log_in(&sessions, "42", &2).await;
        assert_eq!(sessions.log_in(Login::of("42"), &3).await.unwrap(), LogIn::Full);
        let _elsewhere = log_in(&sessions, "43", &1).await;
        assert_eq!((value(&sessions, &one).await, value(&sessions, &two).await), (Some(1), Some(2)));
        let _ = sessions.revoke(&one).await.unwrap();
        let _three = log_in(&sessions, "42", &3).await;
        assert_eq!(sessions.log_in(Login::of("42"), &4).await.unwrap(), LogIn::Full);
        // Both expire, without anybody telling the index.
        clock.advance(10 * MINUTE);
        let _four = log_in(&sessions, "42", &4).await;
    }

    async fn the_session_that_a_log_in_replaces_takes_no_place(t: TestRedis) {
        let refuse = at_most(1, WhenFull::Refuse);
        let sessions = Sessions::<u64>::with_options(t.redis.clone(), refuse).unwrap();
        let one = log_in(&sessions, "42", &1).await;
        let LogIn::Begun(two) = sessions.log_in(Login::of("42").replaces(&one), &2).await.unwrap() else { panic!() };
        assert_eq!(listed(&sessions, "42").await, [two.reference()]);
        // What is gone or another's makes no room.
        let others = log_in(&sessions, "43", &1).await;
        for replaced in [&one, &others] {
            assert_eq!(sessions.log_in(Login::of("42").replaces(replaced), &3).await.unwrap(), LogIn::Full);
        }
        assert_eq!(sessions.log_in(Login::of("42"), &3).await.unwrap(), LogIn::Full);
        let oldest = Sessions::<u64>::with_options(t.redis.clone(), at_most(2, WhenFull::EndOldest)).unwrap();
        let three = log_in(&oldest, "42", &3).await;
        let LogIn::Begun(four) = oldest.log_in(Login::of("42").replaces(&three), &4).await.unwrap() else { panic!() };
        let found = [value(&oldest, &two).await, value(&oldest, &three).await, value(&oldest, &four).await];
        assert_eq!(found, [Some(2), None, Some(4)], "another device lost its session");
    }

    async fn over_the_limit_the_one_unused_for_longest_makes_room(t: TestRedis) {
        let (sessions, clock) = with_clock(&t, at_most(2, WhenFull::EndOldest)).await;
        let one = log_in(&sessions, "42", &1).await;
        clock.advance(MINUTE);
        let two = log_in(&sessions, "42", &2).await;
        clock.advance(5 * MINUTE);
        assert_eq!(sessions.extend(&one).await.unwrap(), Extension::Extended);
        clock.advance(MINUTE);
        let three = log_in(&sessions, "42", &3).await;
        let found = [value(&sessions, &one).await, value(&sessions, &two).await, value(&sessions, &three).await];
        assert_eq!(found, [Some(1), None, Some(3)]);
        assert_eq!(listed(&sessions, "42").await, [three.reference(), one.reference()]);
        // Under a lower limit all that are over it go.
        let narrow = Sessions::<u64>::with_options(at_clock(&t, &clock).await, at_most(1, WhenFull::EndOldest)).unwrap();
        let four = log_in(&narrow, "42", &4).await;
        assert_eq!(listed(&narrow, "42").await, [four.reference()]);
    }

    async fn the_index_ends_with_its_last_session(t: TestRedis) {
        let (sessions, clock) = with_clock(&t, Options::new().idle(10 * MINUTE).absolute(60 * MINUTE)).await;
        let one = log_in(&sessions, "42", &1).await;
        let index = t.keys().await.into_iter().find(|key| key.ends_with(":index")).unwrap();
        let about = |minutes: i64| minutes * 60_000 - 30_000..=minutes * 60_000;
        assert!(about(10).contains(&t.ttl_ms(&index).await));
        clock.advance(5 * MINUTE);
        let two = log_in(&sessions, "42", &2).await;
        assert!(about(10).contains(&t.ttl_ms(&index).await));
        clock.advance(4 * MINUTE);
        assert_eq!(sessions.extend(&one).await.unwrap(), Extension::Extended);
        assert!(about(10).contains(&t.ttl_ms(&index).await), "a touch moves it");
        clock.advance(7 * MINUTE);
        let _three = log_in(&sessions, "42", &3).await;
        let members: Vec<String> = t.redis.command("ZRANGE", &[&index_key(&t, &index)], &Args::new().int(0).int(-1)).await.unwrap();
        assert!(!members.contains(&two.reference().to_string()), "what has expired is cleared away");
        assert_eq!(members.len(), 2);
    }

    async fn only_one_of_two_who_saw_the_same_version_swaps_it(t: TestRedis) {
        let sessions = Sessions::<u64>::new(t.redis.clone());
        let id = log_in(&sessions, "42", &1).await;
        let seen = sessions.load(&id).await.unwrap().unwrap();
        assert_eq!((*seen, seen.touched), (1, false));
        let Swap::Swapped(next) = sessions.update_if(&id, &2, seen.version).await.unwrap() else { panic!() };
        assert_eq!(sessions.update_if(&id, &3, seen.version).await.unwrap(), Swap::Changed);
        assert_eq!(value(&sessions, &id).await, Some(2));
        assert_eq!(sessions.load(&id).await.unwrap().unwrap().version, next);
        let Swap::Swapped(_) = sessions.update_if(&id, &3, next).await.unwrap() else { panic!() };
        let _ = sessions.revoke(&id).await.unwrap();
        assert_eq!(sessions.update_if(&id, &4, next).await.unwrap(), Swap::Gone);
    }

    async fn of_many_who_modify_at_once_all_keep_theirs(t: TestRedis) {
        let sessions = Sessions::<Vec<u64>>::new(t.redis.clone());
        let id = log_in(&sessions, "42", &vec![]).await;
        let tasks: Vec<_> = (0..16).map(|n| {
            let (sessions, id) = (sessions.clone(), id.clone());
            tokio::spawn(async move { sessions.modify(&id, |list| list.push(n)).await.unwrap() })
        }).collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), Update::Updated);
        }
        let mut list = value(&sessions, &id).await.unwrap();
        list.sort_unstable();
        assert_eq!(list, (0..16).collect::<Vec<_>>());
    }

    async fn a_rotation_loses_no_change_that_was_answered(t: TestRedis) {
        let sessions = Sessions::<Vec<u64>>::new(t.redis.clone());
        for _ in 0..20 {
            let id = log_in(&sessions, "42", &vec![]).await;
            let tasks: Vec<_> = (0..8).map(|n| {
                let (sessions, id) = (sessions.clone(), id.clone());
                tokio::spawn(async move { (n, sessions.modify(&id, |list| list.push(n)).await.unwrap()) })
            }).collect();
            let Rotation::Rotated(rotated) = sessions.rotate_with(&id, |list| list.push(99)).await.unwrap() else { panic!() };
            let mut answered = vec![99];
            for task in tasks {
                let (n, update) = task.await.unwrap();
                if update == Update::Updated {
                    answered.push(n);
                }
            }
            let mut list = value(&sessions, &rotated).await.unwrap();
            list.sort_unstable();
            answered.sort_unstable();
            assert_eq!(list, answered);
        }
    }
}
