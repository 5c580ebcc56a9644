//! Replies, and their conversion to the types a caller expects.

use bytes::Bytes;

/// A reply of the server (RESP2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing: an absent key, a blocked read that ended empty.
    Nil,
    /// An integer.
    Int(i64),
    /// A string or a status such as `OK`.
    Bytes(Bytes),
    /// A list of replies.
    Array(Vec<Value>),
}

/// A type that a reply can be converted to.
///
/// Implemented for `()` (anything), [`Value`], `i64`, `u64`, `u32`, `bool` (1 or 0), [`Bytes`],
/// `String`, `Option<T>` (nil is `None`), `Vec<T>` and tuples of two to six.
///
/// ```
/// use redis_patterns_core::{FromReply, Value};
///
/// let reply = Value::Array(vec![Value::Int(1), Value::Nil]);
/// assert_eq!(<(i64, Option<String>)>::from_reply(reply), Some((1, None)));
/// assert_eq!(u64::from_reply(Value::Int(-1)), None);
/// ```
pub trait FromReply: Sized {
    /// The converted reply, or `None` if its shape is another.
    fn from_reply(value: Value) -> Option<Self>;
}

impl FromReply for () {
    fn from_reply(_: Value) -> Option<Self> {
        Some(())
    }
}

impl FromReply for Value {
    fn from_reply(value: Value) -> Option<Self> {
        Some(value)
    }
}

impl FromReply for i64 {
    fn from_reply(value: Value) -> Option<Self> {
        match value {
            Value::Int(number) => Some(number),
            // Scripts hand large integers over as text, since a Lua number keeps 53 bits only.
            Value::Bytes(text) => std::str::from_utf8(&text).ok()?.parse().ok(),
            Value::Nil | Value::Array(_) => None,
        }
    }
}

impl FromReply for u64 {
    fn from_reply(value: Value) -> Option<Self> {
        i64::from_reply(value)?.try_into().ok()
    }
}

impl FromReply for u32 {
    fn from_reply(value: Value) -> Option<Self> {
        i64::from_reply(value)?.try_into().ok()
    }
}

impl FromReply for bool {
    fn from_reply(value: Value) -> Option<Self> {
        match value {
            Value::Int(1) => Some(true),
            Value::Int(0) => Some(false),
            _ => None,
        }
    }
}

impl FromReply for Bytes {
    fn from_reply(value: Value) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => Some(bytes),
            Value::Int(number) => Some(Bytes::from(number.to_string())),
            Value::Nil | Value::Array(_) => None,
        }
    }
}

impl FromReply for String {
    fn from_reply(value: Value) -> Option<Self> {
        String::from_utf8(Bytes::from_reply(value)?.to_vec()).ok()
    }
}

impl<T: FromReply> FromReply for Option<T> {
    fn from_reply(value: Value) -> Option<Self> {
        match value {
            Value::Nil => Some(None),
            other => T::from_reply(other).map(Some),
        }
    }
}

impl<T: FromReply> FromReply for Vec<T> {
    fn from_reply(value: Value) -> Option<Self> {
        match value {
            Value::Array(items) => items.into_iter().map(T::from_reply).collect(),
            _ => None,
        }
    }
}

macro_rules! tuples {
    ($(($($name:ident),+))+) => {$(
        impl<$($name: FromReply),+> FromReply for ($($name,)+) {
            fn from_reply(value: Value) -> Option<Self> {
                let Value::Array(items) = value else { return None };
                let mut items = items.into_iter();
                let tuple = ($($name::from_reply(items.next()?)?,)+);
                items.next().is_none().then_some(tuple)
            }
        }
    )+};
}

tuples! { (A, B) (A, B, C) (A, B, C, D) (A, B, C, D, E) (A, B, C, D, E, F) }
