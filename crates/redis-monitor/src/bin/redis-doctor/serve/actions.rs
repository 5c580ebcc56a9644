//! What the page can do about dead letters and locks.

use redis_lock::{Forced, LockOptions, Locks};
use redis_patterns_core::Redis;
use redis_queue::{DeadLetter, Queue};

/// Letters read at a time to find one.
const PAGE: u16 = 100;

/// One action, as the value of a button spells it: a verb, an id, and a name that may have spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// `retry ID QUEUE`: put one dead job back.
    Retry { letter: String, queue: String },
    /// `delete ID QUEUE`: forget one dead job.
    Delete { letter: String, queue: String },
    /// `replay all QUEUE`: put every dead job back.
    Replay { queue: String },
    /// `release FENCE LOCK`: take the lock from the holder with this fence.
    Release { fence: u64, lock: String },
}

/// How an action ended: the word in the page's address and the sentence on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Retried,
    Deleted,
    Replayed,
    Released,
    Gone,
    Newer,
    Failed,
    Refused,
    ReadOnly,
    Foreign,
    Unclear,
}

impl Said {
    const ALL: [(Self, &'static str, &'static str); 11] = [
        (Self::Retried, "retried", "The job waits again, behind all others."),
        (Self::Deleted, "deleted", "The dead letter is deleted."),
        (Self::Replayed, "replayed", "All dead letters of the queue wait again."),
        (
            Self::Released,
            "released",
            "The lock is free. Its holder finds out when it next renews or releases.",
        ),
        (Self::Gone, "gone", "Nothing was done: it is not there any more."),
        (Self::Newer, "newer", "Nothing was done: somebody else holds the lock by now."),
        (Self::Failed, "failed", "Redis did not answer; it may have been done. Look at what the page shows."),
        (Self::Refused, "refused", "Refused: the token is wrong."),
        (Self::ReadOnly, "read-only", "Refused: this page was started without --allow-actions."),
        (Self::Foreign, "foreign", "Refused: the form did not come from this page."),
        (Self::Unclear, "unclear", "Refused: no such action."),
    ];

    pub(crate) fn word(self) -> &'static str {
        Self::ALL.iter().find(|(said, ..)| *said == self).map_or("", |(_, word, _)| word)
    }

    pub(crate) fn sentence(self) -> &'static str {
        Self::ALL.iter().find(|(said, ..)| *said == self).map_or("", |(.., sentence)| sentence)
    }

    pub(crate) fn of_word(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known, _)| *known == word).map(|(said, ..)| *said)
    }

    /// Whether something was changed.
    pub(crate) fn is_done(self) -> bool {
        matches!(self, Self::Retried | Self::Deleted | Self::Replayed | Self::Released)
    }
}

impl Action {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = text.splitn(3, ' ');
        let (verb, id, name) = (words.next()?, words.next()?.to_owned(), words.next()?.to_owned());
        Some(match verb {
            "retry" => Self::Retry { letter: id, queue: name },
            "delete" => Self::Delete { letter: id, queue: name },
            "replay" if id == "all" => Self::Replay { queue: name },
            "release" => Self::Release { fence: id.parse().ok()?, lock: name },
            _ => return None,
        })
    }

    /// The value of its button.
    pub(crate) fn spell(&self) -> String {
        match self {
            Self::Retry { letter, queue } => format!("retry {letter} {queue}"),
            Self::Delete { letter, queue } => format!("delete {letter} {queue}"),
            Self::Replay { queue } => format!("replay all {queue}"),
            Self::Release { fence, lock } => format!("release {fence} {lock}"),
        }
    }

    /// Does it. What failed may have been done all the same.
    pub(crate) async fn run(&self, redis: &Redis) -> Said {
        let done = match self {
            Self::Retry { letter, queue } => retry(&Queue::new(redis.clone(), queue), letter).await,
            Self::Delete { letter, queue } => delete(&Queue::new(redis.clone(), queue), letter).await,
            Self::Replay { queue } => {
                let replayed = Queue::new(redis.clone(), queue).replay_where(|_| true).await;
                replayed.map(|letters| if letters > 0 { Said::Replayed } else { Said::Gone })
            }
            Self::Release { fence, lock } => return release(redis, lock, *fence).await,
        };
        done.unwrap_or_else(|error| {
            eprintln!("redis-doctor: {error}");
            Said::Failed
        })
    }
}

async fn retry(queue: &Queue, id: &str) -> Result<Said, redis_queue::Error> {
    let Some(letter) = find(queue, id).await? else { return Ok(Said::Gone) };
    Ok(if queue.replay(&letter).await? { Said::Retried } else { Said::Gone })
}

async fn delete(queue: &Queue, id: &str) -> Result<Said, redis_queue::Error> {
    let Some(letter) = find(queue, id).await? else { return Ok(Said::Gone) };
    Ok(if queue.delete_dead(&letter).await? { Said::Deleted } else { Said::Gone })
}

/// The letter with this id, among the first hundred: the page shows no others.
async fn find(queue: &Queue, id: &str) -> Result<Option<DeadLetter>, redis_queue::Error> {
    let letters = queue.dead_letters(None, PAGE).await?;
    Ok(letters.into_iter().find(|letter| letter.id == id))
}

async fn release(redis: &Redis, lock: &str, fence: u64) -> Said {
    let options = LockOptions::default().label("redis-doctor").unwrap_or_default();
    let Some(fence) = redis_lock::FencingToken::new(fence) else { return Said::Unclear };
    match Locks::new(redis.clone(), options).force_release(lock, fence).await {
        Ok(Forced::Freed { .. }) => Said::Released,
        Ok(Forced::FreeAlready) => Said::Gone,
        Ok(_) => Said::Newer,
        Err(error) => {
            eprintln!("redis-doctor: {error}");
            Said::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_button_spells_is_read_again() {
        let (letter, queue, lock) = ("17-0".to_owned(), "a b  c".to_owned(), " x".to_owned());
        for action in [
            Action::Retry { letter: letter.clone(), queue: queue.clone() },
            Action::Delete { letter, queue: queue.clone() },
            Action::Replay { queue },
            Action::Release { fence: 7, lock },
        ] {
            assert_eq!(Action::parse(&action.spell()), Some(action));
        }
        for nonsense in ["", "retry", "retry 1-0", "flush 1 x", "release x y", "replay some q"] {
            assert_eq!(Action::parse(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn every_end_has_a_word_and_a_sentence() {
        for (said, word, sentence) in Said::ALL {
            assert_eq!(Said::of_word(word), Some(said));
            assert_eq!((said.word(), said.sentence()), (word, sentence));
        }
    }
}
