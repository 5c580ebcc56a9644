//! A worker that sends mails until Ctrl-C, and a producer that gives it some:
//! `cargo run -p redis-queue --example worker -- redis://127.0.0.1:6379`.

use redis_queue::{Job, Outcome, Pushed, Queue, QueueOptions, Redis, WorkerOptions};
use std::num::NonZeroU64;
use std::time::Duration;

async fn send_mail(job: Job) -> Outcome {
    let Ok(address) = std::str::from_utf8(job.payload()) else {
        return Outcome::Dead { reason: "the address is no text".into() };
    };
    if address.contains("busy") && job.failures() == 0 {
        return Outcome::RetryIn { delay: Duration::from_millis(200), reason: "the mailbox is busy".into() };
    }
    println!("mail to {address}: delivery {} of {}", job.delivery(), job.id());
    Outcome::Done
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "redis://127.0.0.1:6379".into());
    let redis = Redis::connect(&url).await?;
    let options = QueueOptions::default().max_len(NonZeroU64::new(10_000).ok_or("not zero")?);
    let mails = Queue::with_options(redis.clone(), "mails", options);

    let worker = mails.run(WorkerOptions::default().timeout(Duration::from_secs(30)), send_mail).await?;
    for address in ["ann@example.com", "busy@example.com", "bob@example.com"] {
        match mails.push(address).await? {
            Pushed::Accepted { depth, .. } => println!("{depth} mails wait"),
            refused => println!("try again later: {refused:?}"),
        }
    }
    mails.push_in(Duration::from_secs(1), "later@example.com").await?;
    tokio::time::sleep(Duration::from_secs(2)).await;

    println!("{:?}", worker.stop().await);
    redis.close().await;
    Ok(())
}
