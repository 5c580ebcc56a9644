//! What workers do: one file for each pattern, or the wrong implementation in its place.

mod idem;
mod lock;
mod queue;
mod ratelimit;
mod session;

pub(crate) use idem::Found;
pub(crate) use session::SHORT as SHORT_SESSION;

use crate::client::{Context, Phase};
use crate::orders::Orders;
use crate::pattern::Pattern;
use redis_patterns_testkit::faults::history::History;
use redis_patterns_testkit::faults::process;
use std::error::Error;
use tokio::task::JoinSet;

/// The main of a worker process: works until it is told to stop or killed.
pub(crate) fn main(orders: &str) -> Result<(), Box<dyn Error + Send + Sync>> {
    let orders: Orders = serde_json::from_str(orders)?;
    let lines = process::exit_when_parent_dies();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let history = History::append_to(&orders.history)?;
        let ctx = Context::connect(orders, history).await?;
        println!("ready");
        let listening = ctx.clone();
        std::thread::spawn(move || {
            for line in lines {
                listening.enter(if line == "quiet" { Phase::Quiet } else { Phase::Stop });
            }
        });
        let mut tasks = clients(&ctx);
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    })
}

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

fn clients(ctx: &Context) -> JoinSet<Ended> {
    let mut tasks = JoinSet::new();
    for task in 0..4 {
        let (ctx, client) = (ctx.clone(), ctx.client(task));
        match ctx.orders.pattern {
            Pattern::Ratelimit => tasks.spawn(ratelimit::run(ctx, client)),
            Pattern::Lock => tasks.spawn(lock::run(ctx, client)),
            Pattern::Idem => tasks.spawn(idem::run(ctx, client)),
            Pattern::Session => tasks.spawn(session::run(ctx, client)),
            Pattern::Queue if task == 0 => tasks.spawn(queue::produce(ctx, client)),
            Pattern::Queue if task == 1 => tasks.spawn(queue::consume(ctx, client)),
            Pattern::Queue => continue,
        };
    }
    tasks
}

/// Waits until nothing is under way any more, and records what is there in the end.
pub(crate) async fn final_read(ctx: &Context, found: &crate::check::Left) -> Ended {
    let client = ctx.client(0);
    match ctx.orders.pattern {
        Pattern::Ratelimit => ratelimit::final_read(ctx, client, found).await,
        Pattern::Lock => lock::final_read(ctx, client).await,
        Pattern::Idem => idem::final_read(ctx, client, found).await,
        Pattern::Session => session::final_read(ctx, client, found).await,
        Pattern::Queue => Ok(()),
    }
}

/// Waits until the queue is empty, with the workers still at it; says whether it is.
pub(crate) async fn drained(ctx: &Context) -> bool {
    ctx.orders.pattern != Pattern::Queue || queue::drained(ctx).await
}
