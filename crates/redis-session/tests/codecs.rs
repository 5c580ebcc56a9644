//! How values are written, and who can read them.

#![allow(clippy::unwrap_used)]

use redis_patterns_core::{Args, ErrorKind, Tag};
use redis_patterns_testkit::harness::TestRedis;
use redis_patterns_testkit::on_every_topology;
use redis_session::{
    Error, Json, Keyring, LogIn, Login, MessagePack, Options, Rotation, SessionId, Sessions, Update,
};

const SECRET: &str = "a value that nobody may read";

fn keyring(id: u32) -> Keyring {
    Keyring::new(id, &[u8::try_from(id).unwrap(); 32])
}

fn with(t: &TestRedis, options: Options) -> Sessions<String> {
    Sessions::with_options(t.redis.clone(), options).unwrap()
}

async fn log_in<C: redis_session::Codec>(sessions: &Sessions<String, C>, device: &str) -> SessionId {
    match sessions.log_in(Login::of("42").device(device), &SECRET.to_owned()).await.unwrap() {
        LogIn::Begun(id) => id,
        LogIn::Full => panic!(),
    }
}

async fn read<C: redis_session::Codec>(
    sessions: &Sessions<String, C>,
    id: &SessionId,
) -> Result<String, ErrorKind> {
    match sessions.load(id).await {
        Ok(found) => Ok(found.unwrap().value),
        Err(Error::Redis(error)) => Err(error.kind()),
        Err(other) => panic!("{other}"),
    }
}

/// Every byte of every session that Redis holds.
async fn dump(t: &TestRedis) -> Vec<u8> {
    let mut all = Vec::new();
    for name in t.keys().await {
        let (place, part) = name.rsplit_once("}:").unwrap();
        let key = t.redis.namespace().part("sess", &Tag::of(place.rsplit('{').next().unwrap()), part);
        if part != "index" {
            let bytes: bytes::Bytes = t.redis.command("GET", &[&key], &Args::new()).await.unwrap();
            all.extend_from_slice(&bytes);
        }
    }
    all
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

on_every_topology! {
    async fn each_codec_reads_its_own_and_refuses_the_other(t: TestRedis) {
        let json = with(&t, Options::new());
        let packed = Sessions::<String, _>::with_codec(t.redis.clone(), Options::new(), MessagePack).unwrap();
        let (one, other) = (log_in(&json, "").await, log_in(&packed, "").await);
        assert_eq!(read(&json, &one).await.unwrap(), SECRET);
        assert_eq!(read(&packed, &other).await.unwrap(), SECRET);
        assert_eq!((read(&json, &other).await, read(&packed, &one).await), (Err(ErrorKind::Codec), Err(ErrorKind::Codec)));
        assert!(holds(&dump(&t).await, SECRET));
    }

    async fn an_encrypted_store_shows_nothing_and_keeps_all(t: TestRedis) {
        let sessions = with(&t, Options::new().encrypted(keyring(1)));
        let id = log_in(&sessions, "my phone").await;
        let nobody = sessions.create(&SECRET.to_owned()).await.unwrap();
        let check = async |id: &SessionId| {
            let stored = dump(&t).await;
            assert!(!holds(&stored, SECRET) && !holds(&stored, "my phone"));
            assert_eq!(read(&sessions, id).await.unwrap(), SECRET);
            assert_eq!(sessions.list("42").await.unwrap()[0].device, "my phone");
        };
        check(&nobody).await;
        check(&id).await;
        assert_eq!(sessions.update(&id, &SECRET.to_owned()).await.unwrap(), Update::Updated);
        check(&id).await;
        assert_eq!(sessions.modify(&id, |_| {}).await.unwrap(), Update::Updated);
        check(&id).await;
        let Rotation::Rotated(id) = sessions.rotate(&id, &SECRET.to_owned()).await.unwrap() else { panic!() };
        check(&id).await;
    }

    async fn keys_are_changed_without_a_log_out(t: TestRedis) {
        let id = log_in(&with(&t, Options::new().encrypted(keyring(1))), "phone").await;
        let next = with(&t, Options::new().encrypted(keyring(2).also_opens(1, &[1; 32])));
        assert_eq!(read(&next, &id).await.unwrap(), SECRET);
        assert_eq!(next.list("42").await.unwrap()[0].device, "phone");
        let stranger = with(&t, Options::new().encrypted(keyring(3)));
        assert_eq!(read(&stranger, &id).await, Err(ErrorKind::Codec));
        assert_eq!(stranger.list("42").await.unwrap()[0].device, "", "a name that cannot be read is left out");
        assert_eq!(read(&with(&t, Options::new()), &id).await, Err(ErrorKind::Codec));
    }

    async fn what_is_not_encrypted_is_read_for_as_long_as_that_is_asked_for(t: TestRedis) {
        let id = log_in(&with(&t, Options::new()), "phone").await;
        assert_eq!(read(&with(&t, Options::new().encrypted(keyring(1))), &id).await, Err(ErrorKind::Codec));
        let changing = with(&t, Options::new().encrypted(keyring(1)).reads_plain_too());
        assert_eq!(read(&changing, &id).await.unwrap(), SECRET);
        assert_eq!(changing.list("42").await.unwrap()[0].device, "phone");
        assert_eq!(changing.update(&id, &SECRET.to_owned()).await.unwrap(), Update::Updated);
        assert!(!holds(&dump(&t).await, SECRET), "what is written is encrypted");
    }

    /// Whoever writes to Redis moves one session's value into another.
    async fn a_value_in_another_place_is_refused(t: TestRedis) {
        let sessions = with(&t, Options::new().encrypted(keyring(1)));
        let (mine, theirs) = (log_in(&sessions, "").await, log_in(&sessions, "").await);
        let keys: Vec<String> = t.keys().await.into_iter().filter(|key| !key.ends_with("index")).collect();
        let key = |name: &str| {
            let (place, part) = name.rsplit_once("}:").unwrap();
            t.redis.namespace().part("sess", &Tag::of(place.rsplit('{').next().unwrap()), part)
        };
        let (from, to) = (key(&keys[0]), key(&keys[1]));
        t.redis.command::<i64>("COPY", &[&from, &to], &Args::new().word("REPLACE")).await.unwrap();
        let read = [read(&sessions, &mine).await, read(&sessions, &theirs).await];
        assert!(read.contains(&Err(ErrorKind::Codec)) && read.contains(&Ok(SECRET.to_owned())), "{read:?}");
    }

    /// The bytes of version 1, as they were first written; they must be read for ever.
    async fn the_first_layout_is_read(t: TestRedis) {
        let sessions = with(&t, Options::new());
        let id = sessions.create(&"x".to_owned()).await.unwrap();
        let name = t.keys().await.remove(0);
        let (place, part) = name.rsplit_once("}:").unwrap();
        let key = t.redis.namespace().part("sess", &Tag::of(place.rsplit('{').next().unwrap()), part);
        let stored = b"4102444800000180000000000018000000000000123456789abcdefn003old\xA7\x01\x01\"kept\"";
        t.redis.command::<()>("SET", &[&key], &Args::new().bytes(stored).word("PX").int(1_800_000)).await.unwrap();
        assert_eq!(read(&sessions, &id).await.unwrap(), "kept");
        let _ = Json;
    }
}
