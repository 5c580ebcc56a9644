//! One command over one fred client: arguments out, reply or classified error back.

use super::classify;
use crate::args::{Arg, Args};
use crate::error::Error;
use crate::key::Key;
use crate::reply::Value;
use crate::script::{Script, one_slot};
use fred::clients::Client;
use fred::interfaces::ClientLike;
use fred::types::config::Options;
use fred::types::{ClusterHash, CustomCommand, Value as FredValue};
use std::time::Duration;

/// What to send, independent of where and how often.
#[derive(Clone, Copy)]
pub(crate) enum Request<'a> {
    /// `EVALSHA`, and `EVAL` on `NOSCRIPT`.
    Script { script: &'a Script, keys: &'a [&'a Key], args: &'a Args },
    /// `NAME keys.. args..`, sent to the node of the keys.
    Command { name: &'static str, keys: &'a [&'a Key], args: &'a Args },
    /// `NAME args..`, sent to any node.
    Keyless { name: &'static str, args: &'a Args },
}

impl Request<'_> {
    pub(crate) fn operation(&self) -> &'static str {
        match self {
            Self::Script { script, .. } => script.name(),
            Self::Command { name, .. } | Self::Keyless { name, .. } => name,
        }
    }

    /// The slot that decides the node, after the checks that need no server.
    pub(crate) fn check(&self) -> Result<Option<u16>, Error> {
        match self {
            Self::Script { script, keys, args } => script.check(keys, args.len()).map(Some),
            Self::Command { name, keys, .. } => one_slot(name, keys).map(Some),
            Self::Keyless { .. } => Ok(None),
        }
    }
}

/// How a request is sent.
#[derive(Clone, Copy)]
pub(crate) struct Delivery {
    pub(crate) slot: Option<u16>,
    pub(crate) deadline: Duration,
    pub(crate) blocking: bool,
}

/// Sends the request once. `NOSCRIPT` means that nothing ran, so the source may follow at once.
pub(crate) async fn send_once(client: &Client, request: Request<'_>, how: Delivery) -> Result<Value, Error> {
    match request {
        Request::Script { script, keys, args } => {
            let first =
                send(client, request, "EVALSHA", script_args(script.sha1_hex(), keys, args), how).await;
            match first {
                Err(error) if error.code() == Some("NOSCRIPT") => {
                    send(client, request, "EVAL", script_args(script.source(), keys, args), how).await
                }
                reply => reply,
            }
        }
        Request::Command { name, keys, args } => {
            let mut wire = Vec::with_capacity(keys.len() + args.len());
            wire.extend(keys.iter().map(|key| FredValue::Bytes(key.as_bytes().clone())));
            wire.extend(args.iter().map(to_fred));
            send(client, request, name, wire, how).await
        }
        Request::Keyless { name, args } => {
            send(client, request, name, args.iter().map(to_fred).collect(), how).await
        }
    }
}

async fn send(
    client: &Client,
    request: Request<'_>,
    command: &'static str,
    args: Vec<FredValue>,
    how: Delivery,
) -> Result<Value, Error> {
    let hash = how.slot.map_or(ClusterHash::Random, ClusterHash::Custom);
    // `fail_fast` sends once and still follows MOVED; one attempt alone would not follow it.
    // `custom` is the only script call that honours these options (aembke/fred.rs#353).
    let options = Options { fail_fast: true, timeout: Some(how.deadline), ..Options::default() };
    let command = CustomCommand::new_static(command, hash, how.blocking);
    let reply: Result<FredValue, _> = client.with_options(&options).custom(command, args).await;
    match reply {
        Ok(value) => from_fred(request.operation(), value),
        Err(error) => Err(classify::call(request, how.deadline, error)),
    }
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
