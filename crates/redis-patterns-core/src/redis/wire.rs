//! One command over one fred client: arguments out, reply or classified error back.

use super::classify;
use super::slots::Redirect;
use crate::args::{Arg, Args};
use crate::error::Error;
use crate::key::Key;
use crate::reply::Value;
use crate::script::{Script, Tags, one_slot};
use fred::clients::Client;
use fred::error::{Error as FredError, ErrorKind as FredKind};
use fred::interfaces::ClientLike;
use fred::types::config::{Options, Server};
use fred::types::{ClusterHash, CustomCommand, Value as FredValue};
use std::pin::Pin;
use std::time::{Duration, Instant};

/// What to send, independent of where and how often.
#[derive(Clone, Copy)]
pub(super) enum Request<'a> {
    /// `EVALSHA`, and `EVAL` on `NOSCRIPT`.
    Script { script: &'a Script, keys: &'a [&'a Key], args: &'a Args, tags: Tags },
    /// `NAME keys.. args..`, sent to the node of the keys.
    Command { name: &'static str, keys: &'a [&'a Key], args: &'a Args },
    /// `NAME args..`, sent to any node.
    Keyless { name: &'static str, args: &'a Args },
}

impl Request<'_> {
    pub(super) fn operation(&self) -> &'static str {
        match self {
            Self::Script { script, .. } => script.name(),
            Self::Command { name, .. } | Self::Keyless { name, .. } => name,
        }
    }

    /// The slot that decides the node, after the checks that need no server.
    pub(super) fn check(&self) -> Result<Option<u16>, Error> {
        match self {
            Self::Script { script, keys, args, tags } => script.check(keys, args.len(), *tags).map(Some),
            Self::Command { name, keys, .. } => one_slot(name, keys).map(Some),
            Self::Keyless { .. } => Ok(None),
        }
    }
}

/// How a request is sent.
#[derive(Clone, Copy)]
pub(super) struct Delivery {
    /// The time for all of it, for error texts.
    deadline: Duration,
    /// When that is over.
    pub(super) until: Instant,
    /// Whether the reply may wait for something to happen.
    blocking: bool,
    /// Whether an `ASKING` goes before it, for a key that has moved ahead of its slot.
    asking: bool,
}

impl Delivery {
    pub(super) fn within(deadline: Duration) -> Self {
        Self { deadline, until: Instant::now() + deadline, blocking: false, asking: false }
    }

    pub(super) fn blocking(self, blocking: bool) -> Self {
        Self { blocking, ..self }
    }

    pub(super) fn asking(self, asking: bool) -> Self {
        Self { asking, ..self }
    }
}

/// Why a request has no reply: another node has to be asked, or an error.
pub(super) enum Failure {
    Redirect(Redirect, Error),
    Error(Error),
}

/// Sends the request once. `NOSCRIPT` means that nothing ran, so the source may follow at once.
pub(super) async fn send_once(
    client: &Client,
    server: &Server,
    request: Request<'_>,
    how: Delivery,
) -> Result<Value, Failure> {
    let failure = |error: FredError| match Redirect::parse(error.details(), server) {
        Some(redirect) => Failure::Redirect(redirect, classify::call(request, how.deadline, error)),
        None => Failure::Error(classify::call(request, how.deadline, error)),
    };
    let reply = match request {
        Request::Script { script, keys, args, .. } => {
            match send(client, "EVALSHA", script_args(script.sha1_hex(), keys, args), how).await {
                Err(error) if error.details().starts_with("NOSCRIPT") => {
                    send(client, "EVAL", script_args(script.source(), keys, args), how).await
                }
                reply => reply,
            }
        }
        Request::Command { name, keys, args } => {
            let mut wire = Vec::with_capacity(keys.len() + args.len());
            wire.extend(keys.iter().map(|key| FredValue::Bytes(key.as_bytes().clone())));
            wire.extend(args.iter().map(to_fred));
            send(client, name, wire, how).await
        }
        Request::Keyless { name, args } => send(client, name, args.iter().map(to_fred).collect(), how).await,
    };
    reply.map_err(failure).and_then(|value| from_fred(request.operation(), value).map_err(Failure::Error))
}

/// A call of fred's, boxed: its future is 7 KB large and so deep that a caller's would pass the
/// compiler's limit. Boxed here, at the edge, none of the futures above carries and copies it.
type Call<'a> = Pin<Box<dyn Future<Output = Result<FredValue, FredError>> + Send + 'a>>;

fn send<'a>(client: &'a Client, command: &'static str, args: Vec<FredValue>, how: Delivery) -> Call<'a> {
    // `fail_fast` sends once; `custom` is the only script call that honours it (aembke/fred.rs#353).
    let left = how.until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let options = Options { fail_fast: true, timeout: Some(left), ..Options::default() };
    let command = CustomCommand::new_static(command, ClusterHash::Random, how.blocking);
    if how.asking {
        return Box::pin(send_after_asking(client, command, args, options));
    }
    let client = client.with_options(&options);
    // Written in place: a large future that is made on the stack is copied to the heap.
    let place = Box::new_uninit();
    let call = Box::write(place, async move { client.custom(command, args).await });
    Box::into_pin(call)
}

/// A pipeline keeps the two together: `ASKING` counts for the next command of the connection.
async fn send_after_asking(
    client: &Client,
    command: CustomCommand,
    args: Vec<FredValue>,
    options: Options,
) -> Result<FredValue, FredError> {
    let pipeline = client.pipeline();
    let both = pipeline.with_options(&options);
    let asking = CustomCommand::new_static("ASKING", ClusterHash::Random, false);
    let _: () = both.custom(asking, Vec::<FredValue>::new()).await?;
    let _: () = both.custom(command, args).await?;
    let replies: Vec<Result<FredValue, FredError>> = pipeline.try_all().await;
    replies.into_iter().next_back().unwrap_or_else(|| Err(FredError::new(FredKind::Protocol, "no reply")))
}

fn script_args(first: &str, keys: &[&Key], args: &Args) -> Vec<FredValue> {
    let mut wire = Vec::with_capacity(2 + keys.len() + args.len());
    wire.push(FredValue::from(first));
    wire.push(FredValue::Integer(i64::try_from(keys.len()).unwrap_or(i64::MAX)));
    wire.extend(keys.iter().map(|key| FredValue::Bytes(key.as_bytes().clone())));
    wire.extend(args.iter().map(to_fred));
    wire
}

fn to_fred(arg: &Arg) -> FredValue {
    match arg {
        Arg::Bytes(bytes) => FredValue::Bytes(bytes.clone()),
        Arg::Int(number) => FredValue::Integer(*number),
    }
}

fn from_fred(operation: &'static str, value: FredValue) -> Result<Value, Error> {
    Ok(match value {
        FredValue::Null => Value::Nil,
        FredValue::Integer(number) => Value::Int(number),
        FredValue::Boolean(flag) => Value::Int(i64::from(flag)),
        FredValue::String(text) => Value::Bytes(text.into_inner()),
        FredValue::Bytes(bytes) => Value::Bytes(bytes),
        FredValue::Array(items) => {
            Value::Array(items.into_iter().map(|item| from_fred(operation, item)).collect::<Result<_, _>>()?)
        }
        FredValue::Double(_) | FredValue::Map(_) | FredValue::Queued => {
            return Err(Error::reply(operation, "the reply is of a kind that RESP2 does not have"));
        }
    })
}
