//! One test per requirement of the OWASP ASVS that a store of sessions, tokens and codes can meet or
//! break. 5.0 unless said; the number is in the name, the requirement in our words above it.

#![allow(clippy::unwrap_used)]

use redis_patterns_core::{Clock, Redis, TestClock};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_session::{
    Binding, CodeOptions, Codes, Consumed, Digits, LogIn, Login, OneTimeTokens, Options, Others, Pepper,
    Purpose, Revocation, Rotation, SessionId, Sessions, Verdict, WhenFull,
};
use std::collections::HashSet;
use std::num::NonZeroU32;
use std::time::Duration;

const LOGIN: Purpose = Purpose::new("log-in code");
const MINUTE: Duration = Duration::from_secs(60);

fn sessions(t: &TestRedis) -> Sessions<u32> {
    Sessions::new(t.redis.clone())
}

fn codes(t: &TestRedis) -> Codes<u32> {
    let options = CodeOptions::new().cool_down(Duration::ZERO);
    Codes::new(t.redis.clone(), LOGIN, Pepper::new(&[7; 32]), options).unwrap()
}

async fn log_in(sessions: &Sessions<u32>, login: Login<'_>) -> SessionId {
    match sessions.log_in(login, &1).await.unwrap() {
        LogIn::Begun(id) => id,
        LogIn::Full => panic!("full"),
    }
}

/// Sessions by a clock that the test moves.
async fn timed(t: &TestRedis) -> (Sessions<u32>, TestClock) {
    let clock = TestClock::at_micros(1_800_000_000_000_000);
    let builder = Redis::builder(t.url()).namespace(t.redis.namespace().clone());
    let redis = Box::pin(builder.clock(Clock::Injected(clock.clone())).connect()).await.unwrap();
    let options = Options::new().idle(30 * MINUTE).absolute(120 * MINUTE);
    (Sessions::with_options(redis, options).unwrap(), clock)
}

on_every_topology! {
    /// What goes by another channel is good for 10 minutes at most.
    async fn v6_5_5_codes_live_ten_minutes(t: TestRedis) {
        let _code = codes(&t).issue("ann", &1).await.unwrap().issued().unwrap();
        let [key] = &t.keys().await[..] else { panic!() };
        assert!((1..=600_000).contains(&t.ttl_ms(key).await));
    }

    /// It is good for the request that it was sent for, and for none before or after it.
    async fn v6_6_2_codes_are_bound_to_their_request(t: TestRedis) {
        let codes = codes(&t);
        let (first, second) = (Binding::none().browser("request 1"), Binding::none().browser("request 2"));
        let old = codes.issue_bound("ann", &1, &first).await.unwrap().issued().unwrap();
        assert!(matches!(codes.verify_bound("ann", old.expose(), &second).await.unwrap(), Verdict::Wrong { .. }));
        let new = codes.issue_bound("ann", &2, &second).await.unwrap().issued().unwrap();
        assert!(matches!(codes.verify_bound("ann", old.expose(), &first).await.unwrap(), Verdict::Wrong { .. }));
        assert_eq!(codes.verify_bound("ann", new.expose(), &second).await.unwrap(), Verdict::Right(2));
    }

    /// How many sessions a user may have at once is said, and what happens at one more.
    async fn v7_1_2_parallel_sessions_are_limited(t: TestRedis) {
        let two = NonZeroU32::new(2).unwrap();
        let refusing = Options::new().max_sessions(two, WhenFull::Refuse);
        let refusing = Sessions::<u32>::with_options(t.redis.clone(), refusing).unwrap();
        let (_first, _second) = (log_in(&refusing, Login::of("ann")).await, log_in(&refusing, Login::of("ann")).await);
        assert_eq!(refusing.log_in(Login::of("ann"), &1).await.unwrap(), LogIn::Full);
        assert_eq!(refusing.list("ann").await.unwrap().len(), 2);
    }

    /// A session is named by at least 128 random bits.
    async fn v7_2_3_ids_are_random_and_long(t: TestRedis) {
        let (sessions, mut seen) = (sessions(&t), HashSet::new());
        for _ in 0..100 {
            let id = log_in(&sessions, Login::of("ann")).await.expose();
            // All but the place, which the user's sessions share: 256 bits.
            assert_eq!(id.len() - 32, 256 / 4);
            // Of a counter or a clock, some quarter would repeat.
            for quarter in 0..4 {
                assert!(seen.insert((quarter, id[32 + 16 * quarter..][..16].to_owned())));
            }
        }
    }

    /// Who logs in, again too, gets another id, and the one before it is void.
    async fn v7_2_4_a_log_in_changes_the_id(t: TestRedis) {
        let sessions = sessions(&t);
        let anonymous = sessions.create(&0).await.unwrap();
        let first = log_in(&sessions, Login::of("ann").replaces(&anonymous)).await;
        let again = log_in(&sessions, Login::of("ann").replaces(&first)).await;
        let Rotation::Rotated(stepped_up) = sessions.rotate(&again, &2).await.unwrap() else { panic!() };
        for void in [&anonymous, &first, &again] {
            assert_eq!(sessions.load(void).await.unwrap(), None);
        }
        assert_eq!(sessions.load(&stepped_up).await.unwrap().unwrap().value, 2);
        assert_eq!(sessions.list("ann").await.unwrap().len(), 1);
    }

    /// A session that is not used ends.
    async fn v7_3_1_an_idle_session_ends(t: TestRedis) {
        let sessions = sessions(&t);
        let id = sessions.create(&1).await.unwrap();
        let key = t.keys().await.remove(0);
        assert!((1..=30 * 60_000).contains(&t.ttl_ms(&key).await), "30 min by default");
        for mut node in t.admin_nodes() {
            let _ = node.cmd(&["PEXPIREAT", &key, "1"]);
        }
        assert_eq!(sessions.load(&id).await.unwrap(), None);
    }

    /// However much it is used, it ends.
    async fn v7_3_2_a_session_ends_at_its_deadline(t: TestRedis) {
        let (sessions, clock) = timed(&t).await;
        let id = sessions.create(&1).await.unwrap();
        for _ in 0..11 {
            clock.advance(10 * MINUTE);
            assert!(sessions.load(&id).await.unwrap().is_some());
        }
        clock.advance(10 * MINUTE);
        assert_eq!(sessions.load(&id).await.unwrap(), None);
    }

    /// When an account is disabled or deleted, all of its sessions end.
    async fn v7_4_2_all_sessions_of_an_account_end(t: TestRedis) {
        let sessions = sessions(&t);
        let ids = [log_in(&sessions, Login::of("ann")).await, log_in(&sessions, Login::of("ann")).await];
        let of_bob = log_in(&sessions, Login::of("bob")).await;
        assert_eq!(sessions.revoke_all("ann").await.unwrap(), Revocation::Revoked);
        for id in &ids {
            assert_eq!(sessions.load(id).await.unwrap(), None);
        }
        assert!(sessions.load(&of_bob).await.unwrap().is_some());
    }

    /// Who changes a password can end all sessions but their own.
    async fn v7_4_3_all_other_sessions_end(t: TestRedis) {
        let sessions = sessions(&t);
        let (here, elsewhere) = (log_in(&sessions, Login::of("ann")).await, log_in(&sessions, Login::of("ann")).await);
        assert_eq!(sessions.revoke_others(&here).await.unwrap(), Others::Revoked(1));
        assert!(sessions.load(&here).await.unwrap().is_some());
        assert_eq!(sessions.load(&elsewhere).await.unwrap(), None);
    }

    /// An administrator, who has no user's id, can end a user's sessions, or one of them.
    async fn v7_4_5_an_administrator_ends_sessions(t: TestRedis) {
        let (sessions, administrator) = (sessions(&t), Sessions::<u32>::new(t.another().await));
        let id = log_in(&sessions, Login::of("ann")).await;
        let listed = administrator.list("ann").await.unwrap();
        assert_eq!(administrator.revoke_listed("ann", listed[0].session).await.unwrap(), Revocation::Revoked);
        assert_eq!(sessions.load(&id).await.unwrap(), None);
        let id = log_in(&sessions, Login::of("ann")).await;
        let _ = administrator.revoke_all("ann").await.unwrap();
        assert_eq!(sessions.load(&id).await.unwrap(), None);
    }

    /// A user sees where they are logged in, and ends any of it, but nobody else's.
    async fn v7_5_2_a_user_sees_and_ends_their_sessions(t: TestRedis) {
        let sessions = sessions(&t);
        let phone = log_in(&sessions, Login::of("ann").device("phone")).await;
        let laptop = log_in(&sessions, Login::of("ann").device("laptop")).await;
        let of_bob = log_in(&sessions, Login::of("bob").device("bob's")).await;
        let listed = sessions.list("ann").await.unwrap();
        let devices: HashSet<_> = listed.iter().map(|device| device.device.as_str()).collect();
        assert_eq!(devices, HashSet::from(["phone", "laptop"]));
        assert_eq!(sessions.revoke_listed("ann", of_bob.reference()).await.unwrap(), Revocation::AlreadyGone);
        assert_eq!(sessions.revoke_listed("ann", phone.reference()).await.unwrap(), Revocation::Revoked);
        assert_eq!(sessions.load(&phone).await.unwrap(), None);
        assert!(sessions.load(&laptop).await.unwrap().is_some());
        assert!(sessions.load(&of_bob).await.unwrap().is_some());
    }

    /// 4.0, 2.7.5: of a code only a hash is kept.
    async fn v4_0_2_7_5_codes_are_hashed_at_rest(t: TestRedis) {
        let code = codes(&t).issue("ann", &1).await.unwrap().issued().unwrap();
        let mut stored = Vec::new();
        let keys = t.keys().await;
        for mut node in t.admin_nodes() {
            for key in &keys {
                if let Ok(reply) = node.cmd(&["HGETALL", key]) {
                    stored.extend(reply.items().iter().map(|item| item.text()));
                }
            }
        }
        let mac = stored.iter().position(|field| field == "mac").expect("the code was found");
        assert!(!stored.iter().any(|field| field.contains(code.expose())) && stored.len() > mac + 1);
    }

    /// 4.0, 2.7.6: a code has at least 20 random bits.
    async fn v4_0_2_7_6_codes_have_twenty_bits(t: TestRedis) {
        assert!(10_f64.powi(6).log2() > 19.93, "six digits are taken for 20 bits");
        let (codes, mut firsts) = (codes(&t), [HashSet::new(), HashSet::new()]);
        for _ in 0..200 {
            let code = codes.issue("ann", &1).await.unwrap().issued().unwrap();
            assert_eq!(code.expose().len(), 6);
            firsts[0].insert(code.expose()[..1].to_owned());
            firsts[1].insert(code.expose()[5..].to_owned());
        }
        // Each digit occurs at both ends: one is missing once in 70 million runs.
        assert_eq!(firsts.map(|digits| digits.len()), [10, 10]);
        let eight = Codes::<u32>::new(
            t.redis.clone(), Purpose::new("eight"), Pepper::new(&[7; 32]), CodeOptions::new().digits(Digits::Eight),
        );
        let code = eight.unwrap().issue("ann", &1).await.unwrap().issued().unwrap();
        assert_eq!(code.expose().len(), 8);
    }

    /// OWASP, Forgot Password: a link serves once, and one reply serves known and unknown accounts.
    async fn forgot_password_links_serve_once_and_tell_nothing(t: TestRedis) {
        let reset = OneTimeTokens::<Option<u32>>::new(t.redis.clone(), Purpose::new("reset"), 15 * MINUTE).unwrap();
        let mut answers = Vec::new();
        for (address, user) in [("ann@example.com", Some(42)), ("nobody@example.com", None)] {
            let token = reset.issue(address, &user).await.unwrap().issued().unwrap();
            let again = reset.issue(address, &user).await.unwrap().issued();
            answers.push((token.expose().len(), again));
            let bound = Binding::none().stamp("changed meanwhile");
            assert_eq!(reset.consume_bound(&token, &bound).await.unwrap(), Consumed::StampChanged);
            assert_eq!(reset.consume(&token).await.unwrap(), Some(user));
            assert_eq!(reset.consume(&token).await.unwrap(), None);
        }
        assert_eq!(answers[0], answers[1]);
    }
}
