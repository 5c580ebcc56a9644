//! A request for a lock that is on its way: dropped or not, it leaves no lock that nobody holds.

use crate::claim::{Ask, Claim};
use crate::error::Error;
use crate::janitor::{Grant, Janitor};
use crate::scripts::{self, Acquired};
use redis_patterns_core::{BootInstant, ErrorKind, Executed, Redis};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

type Call = Pin<Box<dyn Future<Output = Result<Acquired, Error>> + Send>>;

/// The acquire call. If it is dropped before its answer, the call runs on in the background and
/// what it took is freed: a release sent at once could overtake the request on another connection.
pub(crate) struct Pending {
    call: Option<Call>,
    how: Ask,
    claim: Claim,
    janitor: Janitor,
}

impl Pending {
    pub(crate) fn new(how: Ask, redis: &Redis, claim: &Claim, janitor: &Janitor) -> Self {
        let call = Box::pin(ask(how, redis.clone(), claim.clone()));
        Self { call: Some(call), how, claim: claim.clone(), janitor: janitor.clone() }
    }
}

impl Future for Pending {
    type Output = Result<Acquired, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(call) = self.call.as_mut() else { return Poll::Pending };
        let Poll::Ready(answer) = call.as_mut().poll(context) else { return Poll::Pending };
        self.call = None;
        if may_be_held(&answer) {
            self.janitor.free(self.claim.clone(), Grant::Unknown);
        }
        Poll::Ready(answer)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let Some(call) = self.call.take() else { return };
        let (janitor, claim, how) = (self.janitor.clone(), self.claim.clone(), self.how);
        self.janitor.run(async move {
            match call.await {
                Ok(Acquired::Yes(_)) => janitor.free(claim, Grant::Known),
                // The place in the queue; what its waiter sent when it was dropped may have come first.
                Ok(Acquired::Busy { .. }) if how == Ask::Queue => janitor.free(claim, Grant::Known),
                answer if may_be_held(&answer) => janitor.free(claim, Grant::Unknown),
                _ => {}
            }
        });
    }
}

fn may_be_held(answer: &Result<Acquired, Error>) -> bool {
    matches!(answer, Err(Error::Redis(error)) if error.executed() == Executed::Maybe)
}

/// Asks, and asks again if the connection was cut: with the same token that cannot take it twice.
async fn ask(how: Ask, redis: Redis, claim: Claim) -> Result<Acquired, Error> {
    let started = BootInstant::now();
    // An earlier send that may yet have arrived: a later one that was not sent does not undo it.
    let mut unknown = None;
    loop {
        let left = started.remaining_of(redis.deadline()).max(Duration::from_millis(1));
        let hurried = redis.with_deadline(left);
        match scripts::acquire(&hurried, &claim, how).await {
            Err(Error::Redis(error))
                if error.kind() == ErrorKind::ConnectionLost
                    && !started.remaining_of(redis.deadline()).is_zero() =>
            {
                if error.executed() == Executed::Maybe {
                    unknown = Some(error);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(Error::Redis(error)) => return Err(unknown.unwrap_or(error).into()),
            answer => return answer,
        }
    }
}
