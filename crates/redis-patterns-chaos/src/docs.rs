//! Puts the counts of the last run into the documentation.

use std::error::Error;
use std::path::Path;

pub(crate) fn write(_out: &Path) -> Result<(), Box<dyn Error>> {
    Err("later".into())
}
