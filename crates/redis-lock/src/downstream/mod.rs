//! What the protected system does with fences: it keeps the highest and refuses lower ones.

mod register;
mod store;

pub use register::FencedRegister;
pub use store::{FenceStore, SealError, Verdict};
