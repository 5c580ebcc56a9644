//! What several tests of exclusion share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A room for one at a time; clones are doors of the same room.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room(Arc<AtomicU32>);

impl Room {
    /// Goes in, lets others try, and goes out.
    pub(crate) async fn visit(&self) {
        assert_eq!(self.0.fetch_add(1, Ordering::SeqCst), 0, "two holders");
        tokio::task::yield_now().await;
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
