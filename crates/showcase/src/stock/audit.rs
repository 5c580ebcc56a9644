//! What the database says when all is over. It goes by the journal, not by what the writers claim.

use super::Stock;
use crate::Fallible;
use rusqlite::{Connection, params};

/// Figures of a whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Audit {
    /// Times that an order was placed.
    pub(crate) placements: u32,
    /// Orders that were accepted.
    pub(crate) accepted: u32,
    /// Orders that left the house.
    pub(crate) shipped: u32,
    /// Orders that left the house more than once.
    pub(crate) twice: u32,
    /// Orders whose job ran again because its worker was lost.
    pub(crate) recovered: u32,
    /// Writes that were refused because of their fence.
    pub(crate) stale_refused: u32,
    /// Writes that were accepted although a newer fence had written before.
    pub(crate) stale_accepted: u32,
    /// Items whose count is not what was there less what was shipped.
    pub(crate) wrong_counts: u32,
}

impl Stock {
    /// Counts everything; `initial` is how many pieces of each item there were.
    pub(crate) async fn audit(&self, initial: i64) -> Fallible<Audit> {
        self.with(move |db| audit(db, initial)).await
    }

    /// Which hand-outs of an order's job have come to a write, in order.
    pub(crate) async fn deliveries(&self, order: &str) -> Fallible<Vec<u32>> {
        let order = order.to_owned();
        self.with(move |db| {
            let mut query = db.prepare("SELECT delivery FROM journal WHERE order_id = ?1 ORDER BY seq")?;
            query.query_map(params![order], |row| row.get(0))?.collect()
        })
        .await
    }

    /// How often an order was placed, and with which fence it was shipped.
    pub(crate) async fn history(&self, order: &str) -> Fallible<(u32, Option<i64>)> {
        let order = order.to_owned();
        self.with(move |db| {
            db.query_row(
                "SELECT placed, (SELECT token FROM shipped WHERE order_id = id) FROM orders WHERE id = ?1",
                params![order],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
        })
        .await
    }
}

fn audit(db: &mut Connection, initial: i64) -> rusqlite::Result<Audit> {
    // One transaction: all figures are of one moment.
    let db = db.transaction()?;
    let number = |query: &str| db.query_row(query, [], |row| row.get(0));
    Ok(Audit {
        placements: number("SELECT coalesce(sum(placed), 0) FROM orders")?,
        accepted: number("SELECT count(*) FROM orders")?,
        shipped: number("SELECT count(*) FROM orders WHERE id IN (SELECT order_id FROM shipped)")?,
        twice: number(
            "SELECT count(*) FROM (SELECT 1 FROM journal WHERE outcome = 'shipped'
             GROUP BY order_id HAVING count(*) > 1)",
        )?,
        recovered: number("SELECT count(DISTINCT order_id) FROM journal WHERE delivery > 1")?,
        stale_refused: number("SELECT count(*) FROM journal WHERE outcome = 'refused'")?,
        stale_accepted: number(
            "SELECT count(*) FROM journal AS late WHERE outcome <> 'refused' AND EXISTS (
                SELECT 1 FROM journal AS early WHERE early.seq < late.seq AND early.item = late.item
                AND early.outcome <> 'refused' AND early.token > late.token)",
        )?,
        wrong_counts: db.query_row(
            "SELECT count(*) FROM stock WHERE count <> ?1 - (
                SELECT coalesce(sum(quantity), 0) FROM orders
                WHERE orders.item = stock.item AND id IN (SELECT order_id FROM shipped))",
            params![initial],
            |row| row.get(0),
        )?,
    })
}
