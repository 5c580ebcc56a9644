//! Without the feature `encrypt`: each answers what it was given.

use crate::keys::SessionKeys;
use crate::options::Options;
use bytes::Bytes;
use redis_patterns_core::{Error, Key};

pub(crate) fn value_in(_: &Options, _: &SessionKeys, plain: Bytes) -> Result<Bytes, Error> {
    Ok(plain)
}

pub(crate) fn value_out(_: &Options, _: &SessionKeys, stored: Bytes) -> Result<Bytes, Error> {
    Ok(stored)
}

pub(crate) fn device_in(_: &Options, _: &Key, device: &str) -> Result<Bytes, Error> {
    Ok(Bytes::copy_from_slice(device.as_bytes()))
}

pub(crate) fn device_out(_: &Options, _: &Key, stored: &Bytes) -> String {
    String::from_utf8_lossy(stored).into_owned()
}
