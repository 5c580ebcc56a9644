//! One request on its way through the layer.

use super::key::{Sent, sent};
use super::layer::{Keep, MissingKey, Settings, WhenDown};
use super::problem::Problem;
use super::stored::{self, Stored};
use crate::begin::Begin;
use crate::claim::Claim;
use crate::error::Error;
use crate::fingerprint::Fingerprint;
use crate::run::Attempt;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response, Uri, header};
use http_body::Body;
use http_body_util::{BodyExt, Either, Full, LengthLimitError, Limited};
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

/// All HTTP requests share one operation: a key used for another path is used for another request,
/// and is answered 422.
pub(super) const OPERATION: &str = "http";

/// The service that [`IdempotencyLayer`](super::IdempotencyLayer) makes of another.
#[derive(Clone)]
pub struct IdempotencyService<S> {
    pub(super) inner: S,
    pub(super) settings: Arc<Settings>,
}

impl<S> fmt::Debug for IdempotencyService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IdempotencyService").finish_non_exhaustive()
    }
}

/// A body of the layer's own, or the handler's.
type Answer<B> = Response<Either<Full<Bytes>, B>>;

impl<S, B, R> Service<Request<B>> for IdempotencyService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Body + From<Bytes> + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<Box<dyn StdError + Send + Sync>>,
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
        let inner = std::mem::replace(&mut self.inner, clone);
        let settings = self.settings.clone();
        Box::pin(async move { answer(settings, inner, request).await })
    }
}

async fn answer<S, B, R>(
    settings: Arc<Settings>,
    mut inner: S,
    request: Request<B>,
) -> Result<Answer<R>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Body + From<Bytes> + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let refuse = |problem: Problem| Ok(ours(problem.response(settings.problems.as_deref())));
    if !settings.methods.contains(request.method()) {
        return Ok(theirs(inner.call(request).await?));
    }
    let key = match sent(request.headers()) {
        Sent::Key(key) => key,
        Sent::Malformed => return refuse(Problem::Malformed),
        Sent::Nothing if settings.missing_key == MissingKey::Refuse => return refuse(Problem::Missing),
        Sent::Nothing => return Ok(theirs(inner.call(request).await?)),
    };
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, settings.largest_request).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => return refuse(Problem::TooLarge),
        // The client went away in the middle of its body.
        Err(_) => return refuse(Problem::Malformed),
    };
    let scope = (settings.scope_of)(&parts);
    let fingerprint = fingerprint(&parts, &body);
    let begun = settings.requests.begin_or_wait(&scope, OPERATION, key, fingerprint, settings.patience).await;
    let request = Request::from_parts(parts, B::from(body));
    match begun {
        Ok(Begin::Started(claim)) => run(settings, inner, request, claim).await,
        Ok(Begin::Replay(outcome)) => match stored::unpack(outcome, |name| settings.headers.contains(name)) {
            Some(Stored::Response(kept)) if kept.body().len() <= settings.largest_response => Ok(ours(kept)),
            Some(_) => refuse(Problem::NotKept),
            None => refuse(Problem::Internal),
        },
        Ok(Begin::InProgress { retry_after }) => refuse(Problem::Outstanding(retry_after)),
        Ok(Begin::InDoubt) => refuse(Problem::InDoubt),
        Ok(Begin::Mismatch) => refuse(Problem::Reused),
        // Redis was asked, so to run unclaimed is no answer: the database may know that it was done.
        Err(Error::Audit(_) | Error::Durable(_)) => refuse(Problem::Unavailable),
        Err(error) if error.is_outage() => match settings.when_down {
            WhenDown::Refuse => refuse(Problem::Unavailable),
            WhenDown::RunUnclaimed => Ok(theirs(inner.call(request).await?)),
        },
        Err(Error::Key(_)) => refuse(Problem::Malformed),
        Err(_) => refuse(Problem::Internal),
    }
}

/// All that makes a request what it is.
fn fingerprint(parts: &Parts, body: &Bytes) -> Fingerprint {
    let content_type = parts.headers.get(header::CONTENT_TYPE).map_or(&[][..], HeaderValue::as_bytes);
    let uri = uri(parts);
    let (path, query) = (uri.path(), uri.query().unwrap_or_default());
    Fingerprint::of_fields(&[
        parts.method.as_str().as_bytes(),
        path.as_bytes(),
        query.as_bytes(),
        content_type,
        body,
    ])
}

/// What the client asked for. A nested router of axum takes the front of the path away.
fn uri(parts: &Parts) -> &Uri {
    #[cfg(feature = "axum")]
    if let Some(original) = parts.extensions.get::<axum::extract::OriginalUri>() {
        return &original.0;
    }
    &parts.uri
}

/// Runs the handler as a task of its own: a client that goes away, whose request's future is
/// dropped, does not cut the work short.
async fn run<S, B, R>(
    settings: Arc<Settings>,
    mut inner: S,
    mut request: Request<B>,
    claim: Claim,
) -> Result<Answer<R>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>> + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
{
    let redis = settings.requests.redis.clone();
    let running = redis.detach(async move {
        let largest = settings.largest_response;
        let work = |loss| {
            request.extensions_mut().insert(Attempt::of(&claim, loss));
            async move { Ok(read(inner.call(request).await?, largest).await) }
        };
        match claim.hold_while(work).await {
            Ok((response, body)) => {
                let keeps = |name: &HeaderName| settings.headers.contains(name);
                let kept = stored::pack(response.status(), response.headers(), keeps, body.as_deref());
                record((settings.keep)(response.status()), claim, kept).await;
                Ok(response)
            }
            Err(error) => {
                // What was done before the handler failed is not known.
                let _ = claim.abandon().await;
                Err(error)
            }
        }
    });
    running.await.unwrap_or_else(|stopped| match stopped.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(_) => Ok(ours(Problem::Unavailable.response(None))),
    })
}

/// Reads the body of a response if it says that it is short enough, and leaves it alone otherwise.
async fn read<R: Body<Data = Bytes>>(response: Response<R>, largest: usize) -> (Answer<R>, Option<Bytes>) {
    let fits = response.body().size_hint().upper().is_some_and(|bytes| bytes <= largest as u64);
    if !fits {
        return (theirs(response), None);
    }
    let (parts, body) = response.into_parts();
    match body.collect().await {
        Ok(body) => {
            let body = body.to_bytes();
            (ours(Response::from_parts(parts, body.clone())), Some(body))
        }
        // It promised a length and broke off: the handler failed half way.
        Err(_) => (ours(Problem::Internal.response(None)), None),
    }
}

/// Tells Redis and the trail. What cannot be recorded is answered all the same: the handler has run.
async fn record(keep: Keep, claim: Claim, kept: Bytes) {
    // Whatever the answer: a claim that was lost, or that Redis did not hear of, changes nothing here,
    // and an entry that the trail did not take has been counted.
    let _ = match keep {
        Keep::Store => claim.complete(kept).await.map(drop),
        Keep::Release => claim.release().await.map(drop),
        Keep::Abandon => claim.abandon().await.map(drop),
    };
}

fn ours<R>(response: Response<Bytes>) -> Answer<R> {
    response.map(|body| Either::Left(Full::new(body)))
}

fn theirs<R>(response: Response<R>) -> Answer<R> {
    response.map(Either::Right)
}
