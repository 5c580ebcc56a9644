//! A transaction that its fence has admitted.

use crate::fence::FencingToken;
use sqlx::{Database, Transaction};
use std::fmt;
use std::ops::{Deref, DerefMut};

/// What a check at the start of a transaction says.
#[derive(Debug)]
#[must_use = "a transaction that nobody commits is rolled back"]
pub enum Checked<T> {
    /// The fence is the highest seen: write, then commit.
    Admitted(T),
    /// A higher one was seen: the lock is lost, nothing was changed.
    Stale {
        /// The highest seen.
        highest: FencingToken,
    },
}

impl<T> Checked<T> {
    /// The transaction, if the fence was admitted.
    #[must_use]
    pub fn admitted(self) -> Option<T> {
        match self {
            Self::Admitted(transaction) => Some(transaction),
            Self::Stale { .. } => None,
        }
    }
}

/// An open transaction whose fence was checked within it, and whose row of fences is locked until
/// its end. Rolled back if it is dropped. Queries run on `&mut **fenced`.
pub struct Fenced<'c, DB: Database> {
    transaction: Transaction<'c, DB>,
}

impl<'c, DB: Database> Fenced<'c, DB> {
    pub(super) fn new(transaction: Transaction<'c, DB>) -> Self {
        Self { transaction }
    }

    /// Makes the writes and the fence last.
    ///
    /// # Errors
    ///
    /// Those of the database.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: the database may have committed.
    ///
    /// # If the reply is lost
    ///
    /// The writes and the fence were kept, or neither was.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        self.transaction.commit().await
    }

    /// Undoes the writes and the fence.
    ///
    /// # Errors
    ///
    /// Those of the database; it rolls back by itself when the connection ends.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping it rolls back too.
    pub async fn rollback(self) -> Result<(), sqlx::Error> {
        self.transaction.rollback().await
    }
}

impl<DB: Database> Deref for Fenced<'_, DB> {
    type Target = DB::Connection;

    fn deref(&self) -> &Self::Target {
        &self.transaction
    }
}

impl<DB: Database> DerefMut for Fenced<'_, DB> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.transaction
    }
}

impl<DB: Database> fmt::Debug for Fenced<'_, DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fenced(..)")
    }
}
