//! The stock, in SQLite: what the lock protects, and what refuses those who lost it.

mod audit;
mod ship;

pub(crate) use ship::{Overwrite, Shipment};

use crate::Fallible;
use crate::settings::{INITIAL, ITEMS};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const TABLES: &str = "
    CREATE TABLE stock (item TEXT PRIMARY KEY, count INTEGER NOT NULL CHECK (count >= 0)) STRICT;
    -- The accepted orders, and how often each was placed.
    CREATE TABLE orders (
        id TEXT PRIMARY KEY, user TEXT NOT NULL, item TEXT NOT NULL, quantity INTEGER NOT NULL,
        placed INTEGER NOT NULL DEFAULT 1
    ) STRICT;
    -- The highest token that has written to each item. A lower one comes too late.
    CREATE TABLE fence (item TEXT PRIMARY KEY, token INTEGER NOT NULL) STRICT;
    -- One row for each order that left the house: a job that runs again finds it.
    CREATE TABLE shipped (order_id TEXT PRIMARY KEY, token INTEGER NOT NULL) STRICT;
    -- Every try to write, in the order of the transactions. Only the audit reads it.
    CREATE TABLE journal (
        seq INTEGER PRIMARY KEY, item TEXT NOT NULL, token INTEGER NOT NULL, order_id TEXT,
        delivery INTEGER NOT NULL, outcome TEXT NOT NULL
    ) STRICT;";

/// One order: the job on the queue, and the row in the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) item: String,
    pub(crate) quantity: u32,
}

/// Where an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Pending,
    Shipped,
}

/// A connection to the database; cheap to clone.
#[derive(Clone)]
pub(crate) struct Stock {
    db: Arc<Mutex<Connection>>,
}

impl Stock {
    /// A new database, with [`INITIAL`] pieces of each item.
    pub(crate) fn create(file: &Path) -> Fallible<Self> {
        let stock = Self::open(file)?;
        let mut db = stock.db.lock().unwrap_or_else(PoisonError::into_inner);
        let fill = db.transaction()?;
        fill.execute_batch(TABLES)?;
        for item in ITEMS {
            fill.execute("INSERT INTO stock VALUES (?1, ?2)", params![item, INITIAL])?;
        }
        fill.commit()?;
        drop(db);
        Ok(stock)
    }

    /// The database that another process made.
    pub(crate) fn open(file: &Path) -> Fallible<Self> {
        let db = Connection::open(file)?;
        db.busy_timeout(Duration::from_secs(5))?;
        db.pragma_update(None, "journal_mode", "wal")?;
        Ok(Self { db: Arc::new(Mutex::new(db)) })
    }

    /// Writes an accepted order down. Placed again, it stays one order and the count of its
    /// placements rises.
    pub(crate) async fn accept(&self, order: &Order) -> Fallible<()> {
        let order = order.clone();
        self.with(move |db| {
            db.execute(
                "INSERT INTO orders (id, user, item, quantity) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (id) DO UPDATE SET placed = placed + 1",
                params![order.id, order.user, order.item, order.quantity],
            )
        })
        .await?;
        Ok(())
    }

    /// Where this user's order is; `None` if the user has no such order.
    pub(crate) async fn status(&self, id: &str, user: &str) -> Fallible<Option<Status>> {
        let (id, user) = (id.to_owned(), user.to_owned());
        let shipped: Option<bool> = self
            .with(move |db| {
                db.query_row(
                    "SELECT EXISTS (SELECT 1 FROM shipped WHERE order_id = orders.id)
                     FROM orders WHERE id = ?1 AND user = ?2",
                    params![id, user],
                    |row| row.get(0),
                )
                .optional()
            })
            .await?;
        Ok(shipped.map(|shipped| if shipped { Status::Shipped } else { Status::Pending }))
    }

    /// How many pieces are left.
    pub(crate) async fn count(&self, item: &str) -> Fallible<i64> {
        let item = item.to_owned();
        self.with(move |db| {
            db.query_row("SELECT count FROM stock WHERE item = ?1", params![item], |row| row.get(0))
        })
        .await
    }

    /// Runs what blocks where it may.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Fallible<T> {
        let db = self.db.clone();
        let blocking = move || work(&mut db.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(tokio::task::spawn_blocking(blocking).await??)
    }
}
