//! The return of jobs whose worker is gone.

use crate::error::Error;
use crate::queue::Queue;
use crate::scripts::{self, End};
use std::collections::BTreeMap;
use std::time::Duration;

/// How far back ended incarnations are looked at in each sweep: past the longest wait for a job,
/// which may be served on behalf of a worker that was just reaped.
const LOOK_BACK: Duration = Duration::from_secs(120);

/// What a reap returned to the queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reaped {
    /// Workers whose lease was ended.
    pub workers: u64,
    /// Jobs that went back.
    pub jobs: u64,
    /// Jobs that were lost with too many workers and went to the dead letters.
    pub buried: u64,
}

/// Whose lease may be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Those whose time is over.
    Overdue,
    /// Also those who are silent and whose connection is closed. Only for a worker whose own
    /// heartbeats are on time: after an outage everybody looks dead for a moment.
    OverdueOrGone,
}

/// Looks once at every list in which jobs may be waiting for nobody.
pub(crate) async fn sweep(queue: &Queue, whose: Whose) -> Result<Reaped, Error> {
    let overdue = scripts::overdue(&queue.redis, &queue.keys, LOOK_BACK).await?;
    let mut ends = BTreeMap::new();
    for grave in overdue.young_graves.iter().chain(&overdue.old_graves) {
        ends.insert(grave, (0_u64, End::Lost));
    }
    if whose == Whose::OverdueOrGone {
        ends.extend(overdue.silent.iter().map(|silent| (silent, (1, End::Gone))));
    }
    ends.extend(overdue.leases.iter().map(|lease| (lease, (1, End::Lost))));
    let mut reaped = Reaped::default();
    for (incarnation, (leases, how)) in ends {
        if let Some(one) = end(queue, incarnation, how).await? {
            reaped.workers += leases;
            reaped.jobs += one.jobs;
            reaped.buried += one.buried;
        }
    }
    Ok(reaped)
}

/// Ends one lease and returns all that its list holds; `None` if the lease is not over.
pub(crate) async fn end(queue: &Queue, incarnation: &str, how: End) -> Result<Option<Reaped>, Error> {
    let (mut reaped, mut how) = (Reaped::default(), how);
    loop {
        let step = scripts::reap(&queue.redis, &queue.keys, incarnation, how, queue.limits()).await?;
        if !step.ended {
            return Ok(None);
        }
        if how == End::Gone {
            // The first step ended the lease, and with it what it was judged by.
            how = End::Lost;
        }
        reaped.jobs += step.returned;
        reaped.buried += step.buried;
        if step.left == 0 {
            return Ok(Some(reaped));
        }
    }
}
