//! The writes that come with a fence: each is one transaction that checks the fence first.

use super::{Order, Stock};
use crate::Fallible;
use redis_lock::FencingToken;
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

/// What became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shipment {
    /// It left the house, and the stock went down.
    Shipped,
    /// It had left before: nothing changed.
    Again,
    /// Somebody with a newer fence has written: nothing changed.
    Stale,
}

/// What became of a count that was written over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overwrite {
    /// It is the count now.
    Written,
    /// Somebody with a newer fence has written: nothing changed.
    Stale,
}

/// One try to write, for the journal.
struct Try<'a> {
    item: &'a str,
    token: i64,
    order: Option<&'a str>,
    delivery: u32,
}

impl Stock {
    /// Ships an order, once however often it is tried, unless the fence is too old.
    pub(crate) async fn ship(&self, order: &Order, fence: FencingToken, delivery: u32) -> Fallible<Shipment> {
        let order = order.clone();
        self.with(move |db| {
            let attempt = Try { item: &order.item, token: fence.into(), order: Some(&order.id), delivery };
            fenced(db, &attempt, Shipment::Stale, |write| {
                let new = "INSERT INTO shipped VALUES (?1, ?2) ON CONFLICT DO NOTHING";
                if write.execute(new, params![order.id, attempt.token])? == 0 {
                    return Ok((Shipment::Again, "again"));
                }
                let take = "UPDATE stock SET count = count - ?2 WHERE item = ?1";
                write.execute(take, params![order.item, order.quantity])?;
                Ok((Shipment::Shipped, "shipped"))
            })
        })
        .await
    }

    /// Writes a count that was worked out from one read earlier: wrong if anybody wrote in between,
    /// which the fence tells.
    pub(crate) async fn overwrite(&self, item: &str, count: i64, fence: FencingToken) -> Fallible<Overwrite> {
        let item = item.to_owned();
        self.with(move |db| {
            let attempt = Try { item: &item, token: fence.into(), order: None, delivery: 1 };
            fenced(db, &attempt, Overwrite::Stale, |write| {
                write.execute("UPDATE stock SET count = ?2 WHERE item = ?1", params![item, count])?;
                Ok((Overwrite::Written, "overwritten"))
            })
        })
        .await
    }
}

/// Runs `work` in a transaction if no newer fence was seen, and keeps a journal of it. The
/// transaction takes the write lock at its start, so nothing happens between the check and the work.
fn fenced<T>(
    db: &mut Connection,
    attempt: &Try<'_>,
    stale: T,
    work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<(T, &'static str)>,
) -> rusqlite::Result<T> {
    let write = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let seen = write.execute(
        "INSERT INTO fence VALUES (?1, ?2)
         ON CONFLICT (item) DO UPDATE SET token = excluded.token WHERE excluded.token >= fence.token",
        params![attempt.item, attempt.token],
    )?;
    let (answer, outcome) = if seen == 0 { (stale, "refused") } else { work(&write)? };
    write.execute(
        "INSERT INTO journal (item, token, order_id, delivery, outcome) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![attempt.item, attempt.token, attempt.order, attempt.delivery, outcome],
    )?;
    write.commit()?;
    Ok(answer)
}
