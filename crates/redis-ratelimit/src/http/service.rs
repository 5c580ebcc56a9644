//! One request on its way through the layer.

use super::by::Subject;
use super::fields;
use super::layer::{Counts, Settings};
use super::problem::Problem;
use crate::decision::{Decision, Outcome, Source};
use crate::telemetry;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{Either, Full};
use std::fmt;
use std::future::Future;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

/// The service that [`RateLimitLayer`](super::RateLimitLayer) makes of another.
#[derive(Clone)]
pub struct RateLimitService<S> {
    pub(super) inner: S,
    pub(super) settings: Arc<Settings>,
}

impl<S> fmt::Debug for RateLimitService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitService").finish_non_exhaustive()
    }
}

/// A body of the layer's own, or the handler's.
type Answer<B> = Response<Either<Full<Bytes>, B>>;

impl<S, B, R> Service<Request<B>> for RateLimitService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Send + 'static,
    R: Send + 'static,
{
    type Response = Answer<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that was polled ready is the one to call.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let settings = self.settings.clone();
        Box::pin(async move {
            let (request, admitted) = match admit(&settings, request).await {
                Ok(admitted) => admitted,
                Err(refused) => return Ok(refused.map(|body| Either::Left(Full::new(body)))),
            };
            let mut response = inner.call(request).await?;
            if let Some(admitted) = admitted {
                settings.settle(admitted, &mut response).await;
            }
            Ok(response.map(Either::Right))
        })
    }
}

/// What was charged to whom.
struct Admitted {
    subject: Vec<u8>,
    decision: Decision,
}

/// Asks the gate; the request comes back if it may go on.
async fn admit<B>(
    settings: &Settings,
    request: Request<B>,
) -> Result<(Request<B>, Option<Admitted>), Response<Bytes>> {
    let (parts, body) = request.into_parts();
    let subject = settings.by.subject_of(&parts);
    let mut request = Request::from_parts(parts, body);
    let subject = match subject {
        Subject::Id(id) => id,
        Subject::Exempt => return Ok((request, None)),
        Subject::Unknown if settings.shadow => return Ok((request, None)),
        Subject::Unknown => return Err(Problem::Internal.response(None)),
    };
    let decision = match settings.gate.check(&subject).await {
        Ok(decision) => decision,
        Err(_) if settings.shadow => return Ok((request, None)),
        Err(_) => return Err(Problem::Internal.response(None)),
    };
    if let Outcome::Denied { .. } = decision.outcome {
        if !settings.shadow {
            return Err(settings.refusal(&decision));
        }
        telemetry::shadow_denial();
    }
    let mut seen = decision.clone();
    if matches!(settings.counts, Counts::If(_)) {
        // The layer gives it back itself: a handler that did so too would free a unit of others.
        seen.charged = 0;
    }
    request.extensions_mut().insert(seen);
    Ok((request, Some(Admitted { subject, decision })))
}

impl Settings {
    fn refusal(&self, decision: &Decision) -> Response<Bytes> {
        let problem = match decision.source {
            Source::Fallback(_) => Problem::ReducedCapacity,
            _ => Problem::QuotaExceeded,
        };
        let mut response = problem.response(Some(decision));
        self.tell(response.headers_mut(), decision);
        response
    }

    /// Gives back what is not to be counted, and tells the client what is.
    async fn settle<R>(&self, mut admitted: Admitted, response: &mut Response<R>) {
        let counted = match self.counts {
            Counts::All => true,
            Counts::If(counts) => counts(response.status()),
        };
        if !counted && admitted.decision.charged > 0 {
            let gate = self.gate.clone();
            let back = async move {
                let Admitted { subject, decision } = &mut admitted;
                // What does not come back stays charged until its time is over.
                let _ = gate.refund(subject, decision, NonZeroU64::MIN).await;
            };
            // A client that goes away now does not keep the unit charged.
            let _ = self.gate.limiter().redis().detach(back).await;
        } else if counted && !self.shadow && admitted.decision.outcome == Outcome::Allowed {
            self.tell(response.headers_mut(), &admitted.decision);
        }
    }

    fn tell(&self, headers: &mut http::HeaderMap, decision: &Decision) {
        fields::tell(headers, self.policies.as_ref(), decision);
        if self.legacy {
            fields::tell_as_before(headers, decision);
        }
    }
}
