//! The data of a record: what a request found, and what it has changed since.

use crate::scripts::tower::Patch;
use crate::value;
use bytes::Bytes;
use redis_patterns_core::{Error, Json};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

pub(super) type Data = HashMap<String, Value>;

/// The key that a loaded record has besides its own.
const FOUND: &str = "\0redis-session";

/// What a request found when it loaded a session: whose, and what.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    pub(super) id: i128,
    data: Map<String, Value>,
}

/// Puts into loaded data what it was, for the save.
pub(super) fn mark(id: i128, data: &mut Data) {
    data.remove(FOUND);
    let found: Map<String, Value> = data.clone().into_iter().collect();
    // As text: JSON has no numbers of 128 bits.
    data.insert(FOUND.to_owned(), json!({ "id": id.to_string(), "data": found }));
}

/// What the request found; `None` for data that was not loaded by this store.
pub(super) fn found(data: &Data) -> Option<Found> {
    let found = data.get(FOUND)?;
    let id = found.get("id")?.as_str()?.parse().ok()?;
    Some(Found { id, data: found.get("data")?.as_object()?.clone() })
}

/// All of the data, sealed.
pub(super) fn whole(data: &Data) -> Result<Vec<(String, Bytes)>, Error> {
    seal(own(data))
}

/// What has changed since it was loaded; without that knowledge, all of it.
pub(super) fn changes(data: &Data) -> Result<Patch, Error> {
    let Some(found) = found(data) else {
        return Ok(Patch { set: whole(data)?, removed: Vec::new(), keeps_others: false });
    };
    let set = seal(own(data).filter(|(name, value)| found.data.get(*name) != Some(*value)))?;
    let removed = found.data.into_iter().map(|(name, _)| name).filter(|name| !data.contains_key(name));
    Ok(Patch { set, removed: removed.collect(), keeps_others: true })
}

pub(super) fn open(fields: Vec<(String, Bytes)>) -> Result<Data, Error> {
    fields.into_iter().map(|(name, sealed)| Ok((name, value::open(&Json, sealed)?))).collect()
}

fn own(data: &Data) -> impl Iterator<Item = (&String, &Value)> {
    data.iter().filter(|(name, _)| *name != FOUND)
}

fn seal<'a>(fields: impl Iterator<Item = (&'a String, &'a Value)>) -> Result<Vec<(String, Bytes)>, Error> {
    fields.map(|(name, data)| Ok((name.clone(), value::seal(&Json, data)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(pairs: &[(&str, i32)]) -> Data {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
    }

    #[test]
    fn a_save_writes_what_has_changed_and_no_more() {
        let mut loaded = data(&[("same", 1), ("changed", 1), ("removed", 1)]);
        mark(-7, &mut loaded);
        loaded.insert("changed".into(), json!(2));
        loaded.insert("added".into(), json!(3));
        loaded.remove("removed");
        let patch = changes(&loaded).unwrap();
        let mut names: Vec<_> = patch.set.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(
            (names, patch.removed, patch.keeps_others),
            (vec!["added", "changed"], vec!["removed".to_owned()], true)
        );
        assert_eq!(found(&loaded).unwrap().id, -7);
    }

    #[test]
    fn what_was_not_loaded_here_is_written_whole() {
        let patch = changes(&data(&[("a", 1)])).unwrap();
        assert_eq!((patch.set.len(), patch.removed.len(), patch.keeps_others), (1, 0, false));
    }

    #[test]
    fn the_mark_is_never_stored_and_never_grows() {
        let mut loaded = data(&[("a", 1)]);
        mark(i128::MAX, &mut loaded);
        mark(i128::MIN, &mut loaded);
        assert_eq!(whole(&loaded).unwrap().len(), 1);
        assert_eq!(
            found(&loaded),
            Some(Found { id: i128::MIN, data: Map::from_iter([("a".to_owned(), json!(1))]) })
        );
        loaded.insert(FOUND.to_owned(), json!("something else"));
        assert_eq!(found(&loaded), None);
    }
}
