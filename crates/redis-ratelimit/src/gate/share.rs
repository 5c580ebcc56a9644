//! The counts of this process, for the time without Redis.

use crate::decision::PolicyState;
use crate::options::Policy;
use crate::scripts::{Ask, Mark};
use redis_patterns_core::BootInstant;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Subjects that meet in one cell only make the limit stricter, so a fixed number of cells is enough,
/// however many subjects somebody makes up. About 1.5 MiB for each policy.
const CELLS: usize = 16_384;
/// Strict, as [`SlidingWindow`](crate::SlidingWindow) is: the oldest bucket counts whole.
const BUCKETS: u32 = 10;
const KEPT: usize = BUCKETS as usize + 1;

/// One part of what a policy admits, counted in memory over a trailing window.
///
/// The window is as long as the policy takes to give back all that it admits at once. So the share of
/// a bucket keeps to its part of the bucket's own worst case.
#[derive(Debug)]
pub(super) struct Share {
    policy: Policy,
    units: u64,
    bucket: Duration,
    start: BootInstant,
    hasher: RandomState,
    cells: Box<[Mutex<Cell>]>,
}

/// What one share gave.
#[derive(Debug, PartialEq, Eq)]
struct Taken {
    enough: bool,
    units: u64,
    left: u64,
    /// The number of the bucket they were taken from.
    bucket: u64,
}

/// The units of bucket `n` stand at `n % KEPT`.
#[derive(Debug, Default)]
struct Cell {
    newest: u64,
    units: [u64; KEPT],
}

impl Share {
    /// What `policy` admits, divided by `processes` and rounded down.
    pub(super) fn new(policy: &Policy, processes: NonZeroU32) -> Self {
        Self {
            policy: policy.clone(),
            units: policy.largest_cost().get() / u64::from(processes.get()),
            bucket: (policy.refill_time() / BUCKETS).max(Duration::from_nanos(1)),
            start: BootInstant::now(),
            hasher: RandomState::new(),
            cells: (0..CELLS).map(|_| Mutex::default()).collect(),
        }
    }

    fn take(&self, subject: &[u8], ask: Ask) -> Taken {
        let current = self.start.elapsed().as_nanos() / self.bucket.as_nanos();
        self.take_at(u64::try_from(current).unwrap_or(u64::MAX), subject, ask)
    }

    fn take_at(&self, current: u64, subject: &[u8], ask: Ask) -> Taken {
        let mut cell = self.cell(subject);
        cell.move_on_to(current);
        let left = self.units.saturating_sub(cell.units.iter().sum());
        if left < ask.least.get() {
            return Taken { enough: false, units: 0, left, bucket: cell.newest };
        }
        let units = ask.most.min(left);
        let bucket = cell.newest;
        cell.units[index(bucket)] += units;
        Taken { enough: true, units, left: left - units, bucket }
    }

    fn put_back(&self, subject: &[u8], taken: &Taken) {
        let mut cell = self.cell(subject);
        // Of a bucket that is over the place is another's by now.
        if cell.newest - taken.bucket < KEPT as u64 {
            cell.units[index(taken.bucket)] -= taken.units;
        }
    }

    fn cell(&self, subject: &[u8]) -> MutexGuard<'_, Cell> {
        let cell = self.hasher.hash_one(subject) as usize % CELLS;
        self.cells[cell].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes of every share, or of none; what has too little left asks to wait for `rest`.
pub(super) fn take_of_all(shares: &[Share], subject: &[u8], ask: Ask, rest: Duration) -> Vec<PolicyState> {
    let mut taken: Vec<Taken> = shares.iter().map(|share| share.take(subject, ask)).collect();
    if taken.iter().any(|taken| !taken.enough) {
        for (share, taken) in shares.iter().zip(&mut taken) {
            share.put_back(subject, taken);
            taken.left += taken.units;
        }
    }
    let state = |(share, taken): (&Share, Taken)| PolicyState {
        policy: share.policy.shared_name(),
        limit: share.units,
        remaining: taken.left,
        retry_after: if taken.enough { Duration::ZERO } else { rest },
        reset_after: share.bucket.saturating_mul(BUCKETS + 1),
        mark: Mark::NONE,
    };
    shares.iter().zip(taken).map(state).collect()
}

impl Cell {
    /// Empties the places of the buckets that began since.
    fn move_on_to(&mut self, current: u64) {
        for number in (self.newest.saturating_add(1)..=current).rev().take(KEPT) {
            self.units[index(number)] = 0;
        }
        self.newest = self.newest.max(current);
    }
}

fn index(number: u64) -> usize {
    (number % KEPT as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{FixedWindow, TokenBucket};
    use std::num::NonZeroU64;

    fn many(count: u64) -> NonZeroU64 {
        NonZeroU64::new(count).unwrap()
    }

    fn ask(least: u64, most: u64) -> Ask {
        Ask { least: many(least), most }
    }

    fn share(limit: u64, processes: u32) -> Share {
        let hour = Duration::from_secs(3_600);
        let policy = FixedWindow::new("t", many(limit), hour).unwrap().into();
        Share::new(&policy, NonZeroU32::new(processes).unwrap())
    }

    /// The boundary adversary and every step between: no window of eleven buckets holds more.
    #[test]
    fn any_trailing_window_holds_the_share_and_no_more() {
        let share = share(103, 10);
        let mut taken = Vec::new();
        for bucket in 0..200_u64 {
            let tries = if bucket % 10 == 9 { 30 } else { bucket % 3 };
            let got = (0..tries).filter(|_| share.take_at(bucket, b"ann", ask(1, 1)).enough).count();
            taken.push(got);
        }
        let worst = taken.windows(KEPT).map(|window| window.iter().sum::<usize>()).max();
        assert_eq!(worst, Some(10), "the share of 103 among 10 is 10");
        assert!(taken.iter().sum::<usize>() > 100, "nothing came back");
    }

    #[test]
    fn subjects_count_apart_and_a_share_of_nothing_admits_nothing() {
        let two = share(10, 5);
        assert_eq!(two.take_at(0, b"ann", ask(2, 2)), Taken { enough: true, units: 2, left: 0, bucket: 0 });
        assert!(!two.take_at(0, b"ann", ask(1, 1)).enough);
        // One of many others, so that the two do not meet in one cell.
        assert!((0..64_u8).any(|other| two.take_at(0, &[other], ask(1, 9)).units == 2));
        assert!(!share(3, 4).take_at(0, b"ann", ask(1, 1)).enough);
    }

    #[test]
    fn what_goes_back_goes_where_it_was_taken() {
        let share = share(10, 1);
        let taken = share.take_at(0, b"ann", ask(4, 4));
        assert_eq!(share.take_at(1, b"ann", ask(6, 6)).left, 0);
        share.put_back(b"ann", &taken);
        assert_eq!(share.take_at(1, b"ann", ask(4, 4)).left, 0);
        // All of it was taken in bucket 1, and holds as long as that.
        assert!(!share.take_at(KEPT as u64, b"ann", ask(1, 1)).enough);
        assert!(share.take_at(KEPT as u64 + 1, b"ann", ask(10, 10)).enough);
        share.put_back(b"ann", &taken);
        assert!(!share.take_at(KEPT as u64 + 1, b"ann", ask(1, 1)).enough, "it is long over");
    }

    #[test]
    fn of_several_shares_all_give_or_none() {
        let shares = [share(10, 1), share(3, 1), share(5, 1)];
        let rest = Duration::from_secs(1);
        let left = |states: &[PolicyState]| states.iter().map(|state| state.remaining).collect::<Vec<_>>();
        let states = take_of_all(&shares, b"ann", ask(2, 2), rest);
        assert_eq!((left(&states), states[1].retry_after), (vec![8, 1, 3], Duration::ZERO));
        let states = take_of_all(&shares, b"ann", ask(2, 2), rest);
        assert_eq!((left(&states), states[1].retry_after), (vec![8, 1, 3], rest));
        assert_eq!(left(&take_of_all(&shares, b"ann", ask(1, 1), rest)), [7, 0, 2]);
    }

    #[test]
    fn the_window_of_a_bucket_is_the_time_it_takes_to_fill() {
        let bucket = TokenBucket::new("t", many(10), Duration::from_secs(1)).unwrap();
        let policy = bucket.burst(many(50)).unwrap().into();
        let share = Share::new(&policy, NonZeroU32::MIN);
        assert_eq!((share.units, share.bucket), (50, Duration::from_millis(500)));
    }
}
