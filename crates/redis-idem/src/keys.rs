//! Every key of this crate.

use crate::error::Error;
use crate::scope::Scope;
use redis_patterns_core::{FieldHasher, Key, Namespace, Tag};

const PATTERN: &str = "idem";
const DOMAIN: &str = "redis-idem/key";
/// What the IETF draft's users send at most, and what public interfaces allow.
const LONGEST_KEY: usize = 255;
/// A method and a route; longer ones are a mistake such as a whole URL with its query.
const LONGEST_OPERATION: usize = 1_024;

/// `ns:idem:{hash}`: the record of one request. Only the SHA-256 of scope, operation and key
/// reaches Redis, so no key names a slot, breaks out of its field or tells who used it.
pub(crate) fn record(
    namespace: &Namespace,
    scope: &Scope,
    operation: &str,
    key: &[u8],
) -> Result<Key, Error> {
    let (kind, id) = scope.fields();
    if id.is_empty() && *scope != Scope::Global {
        return Err(Error::Scope("the id of a scope has at least one byte; an empty one would be shared"));
    }
    if operation.is_empty() || operation.len() > LONGEST_OPERATION {
        return Err(Error::Scope("the name of an operation has 1 to 1,024 bytes"));
    }
    if key.is_empty() || key.len() > LONGEST_KEY {
        return Err(Error::Key("an idempotency key has 1 to 255 bytes"));
    }
    let hash = FieldHasher::new(DOMAIN).field(kind).field(id).field(operation).field(key).finish();
    Ok(namespace.key(PATTERN, &Tag::of(hash.to_hex())))
}

/// The name of a request: the hash in its record's key.
pub(crate) fn request(record: &Key) -> &str {
    let name = record.as_str();
    name.rsplit('{').next().unwrap_or(name).trim_end_matches('}')
}
