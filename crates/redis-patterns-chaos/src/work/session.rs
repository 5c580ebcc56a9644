//! Sessions that all processes use and end at the same time; they meet at the oracle's board.
//!
//! - `create` with `KIND USER`, ok `SID`; kinds are `plain`, `counter` and `short`
//! - `load` with `SID`, ok `found VALUE` or `none`; `final` likewise, when all is over
//! - `modify` (adds one, counters only), `update`, `extend`, ok `done` or `gone`
//! - `rotate` with `SID`, ok `SID` of the new one or `gone`; `revoke` with `SID`; `revoke_all` with a user

use super::Ended;
use crate::check::Left;
use crate::client::{Client, Context, Phase};
use crate::controls;
use crate::oracle::Line;
use redis_session::{Error, Extension, LogIn, Login, Options, Rotation, SessionId, Sessions, Update};
use std::time::Duration;

/// The longest life of a short session.
pub(crate) const SHORT: Duration = Duration::from_secs(2);

struct Desk {
    ctx: Context,
    long: Sessions<u64>,
    short: Sessions<u64>,
}

/// A session as it stands on the board: `KIND USER ID`.
struct Pinned {
    kind: String,
    user: String,
    id: SessionId,
}

impl Pinned {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (kind, user, id) = (words.next()?, words.next()?, words.next()?);
        Some(Self { kind: kind.to_owned(), user: user.to_owned(), id: SessionId::parse(id)? })
    }

    fn sid(&self) -> String {
        sid(&self.id)
    }
}

/// The name of a session in the history.
pub(crate) fn sid(id: &SessionId) -> String {
    id.reference().to_string()[..20].to_owned()
}

impl Desk {
    fn new(ctx: &Context) -> Result<Self, Error> {
        let long = Options::new().touch_after_percent(0);
        let short = Options::new().absolute(SHORT).idle(SHORT);
        Ok(Self {
            ctx: ctx.clone(),
            long: Sessions::with_options(ctx.redis.clone(), long)?,
            short: Sessions::with_options(ctx.redis.clone(), short)?,
        })
    }

    fn of(&self, kind: &str) -> &Sessions<u64> {
        if kind == "short" { &self.short } else { &self.long }
    }

    /// The user's name at the server, which may be a hostile one.
    fn user(&self, user: &str) -> String {
        String::from_utf8_lossy(&self.ctx.id(user)).into_owned()
    }

    async fn create(&self, client: &mut Client, board: &mut Line) -> Ended {
        let kinds = ["plain", "plain", "counter", "short"];
        let kind = if self.wrong() { "plain" } else { kinds[client.dice.usize(..4)] };
        let user = format!("u{}", client.dice.u64(..1_000));
        let name = self.user(&user);
        let work = async {
            match self.of(kind).log_in(Login::of(&name), &0).await? {
                LogIn::Begun(id) if self.wrong() => {
                    controls::session::put(&self.ctx, &id).await?;
                    Ok(id)
                }
                LogIn::Begun(id) => Ok::<_, Error>(id),
                LogIn::Full => Err(Error::Options("full")),
            }
        };
        if let Some(id) = client.call("create", &format!("{kind} {user}"), work, sid).await {
            board.ask(&format!("put {kind} {user} {}", id.expose())).await?;
        }
        Ok(())
    }

    async fn use_one(&self, client: &mut Client, board: &mut Line, on: &Pinned) -> Ended {
        let (sessions, value) = (self.of(&on.kind), on.sid());
        let said = |done: bool| if done { "done" } else { "gone" }.to_owned();
        match client.dice.u8(..100) {
            0..40 => self.load(client, "load", on).await,
            40..65 if on.kind == "counter" => {
                let work = self.modify(&on.id);
                client.call("modify", &value, work, |update| said(*update == Update::Updated)).await;
            }
            40..65 => {
                let work = self.update(&on.id);
                client.call("update", &value, work, |update| said(*update == Update::Updated)).await;
            }
            // The wrong stores can do no more than that.
            65..82 | 96.. if self.wrong() => {}
            65..75 => {
                let work = sessions.extend(&on.id);
                client.call("extend", &value, work, |found| said(*found == Extension::Extended)).await;
            }
            75..82 if on.kind == "plain" => self.rotate(client, board, on).await?,
            82..96 if on.kind != "counter" => {
                let work = self.revoke(&on.id);
                client.call("revoke", &value, work, |()| String::new()).await;
            }
            96..98 if on.kind != "counter" => {
                let name = self.user(&on.user);
                client
                    .call("revoke_all", &on.user, sessions.revoke_all(&name), |found| format!("{found:?}"))
                    .await;
            }
            _ => {}
        }
        Ok(())
    }

    async fn rotate(&self, client: &mut Client, board: &mut Line, on: &Pinned) -> Ended {
        let said = |rotation: &Rotation| match rotation {
            Rotation::Rotated(id) => sid(id),
            Rotation::Gone => "gone".to_owned(),
        };
        let work = self.of(&on.kind).rotate(&on.id, &0);
        if let Some(Rotation::Rotated(id)) = client.call("rotate", &on.sid(), work, said).await {
            board.ask(&format!("put {} {} {}", on.kind, on.user, id.expose())).await?;
        }
        Ok(())
    }

    fn wrong(&self) -> bool {
        self.ctx.orders.control.is_some()
    }

    async fn load(&self, client: &mut Client, op: &str, on: &Pinned) {
        let work = async {
            match self.wrong() {
                true => Ok(controls::session::get(&self.ctx, &on.id).await?),
                false => Ok::<_, Error>(self.of(&on.kind).load(&on.id).await?.map(|session| session.value)),
            }
        };
        client.call(op, &on.sid(), work, |found| shown(*found)).await;
    }

    async fn revoke(&self, id: &SessionId) -> Result<(), Error> {
        match self.wrong() {
            true => Ok(controls::session::delete(&self.ctx, id).await?),
            false => self.long.revoke(id).await.map(drop),
        }
    }

    async fn update(&self, id: &SessionId) -> Result<Update, Error> {
        match self.ctx.orders.control {
            Some(9) => controls::session::put(&self.ctx, id).await?,
            Some(_) => controls::session::put_if_there(&self.ctx, id).await?,
            None => return self.long.update(id, &7).await,
        }
        Ok(Update::Updated)
    }

    async fn modify(&self, id: &SessionId) -> Result<Update, Error> {
        self.long.modify(id, |value| *value += 1).await
    }
}

fn shown(found: Option<u64>) -> String {
    found.map_or_else(|| "none".to_owned(), |value| format!("found {value}"))
}

pub(super) async fn run(ctx: Context, mut client: Client) -> Ended {
    let desk = Desk::new(&ctx)?;
    let mut board = Line::to(&ctx.orders.oracle).await?;
    while ctx.until(Phase::Work) {
        let pinned = board.ask(&format!("pick {}", client.dice.u64(..1_000_000))).await?;
        match Pinned::parse(&pinned).filter(|_| client.dice.u8(..10) > 0) {
            Some(on) => desk.use_one(&mut client, &mut board, &on).await?,
            None => desk.create(&mut client, &mut board).await?,
        }
        client.breathe().await;
    }
    Ok(())
}

/// Loads what is pinned: revoked ones must be gone, counters must hold what was added.
pub(super) async fn final_read(ctx: &Context, mut client: Client, _: &Left) -> Ended {
    let desk = Desk::new(ctx)?;
    let mut board = Line::to(&ctx.orders.oracle).await?;
    for number in 0..48 {
        let Some(on) = Pinned::parse(&board.ask(&format!("pick {number}")).await?) else { continue };
        desk.load(&mut client, "final", &on).await;
    }
    Ok(())
}
