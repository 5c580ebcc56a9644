//! The secret that codes are hashed with.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt;

/// A secret of 256 bits that the servers of an application share and Redis never sees; `Debug` shows
/// nothing of it.
///
/// A code has too few digits to be hidden by a hash alone: who reads Redis would try all of them.
/// With HMAC-SHA256 under a pepper they cannot. Another pepper voids the codes out there, and
/// forgets failed guesses.
///
/// ```
/// let pepper = redis_session::Pepper::new(&[7; 32]);
/// assert_eq!(format!("{pepper:?}"), "Pepper(..)");
/// ```
#[derive(Clone)]
pub struct Pepper(Hmac<Sha256>);

impl Pepper {
    /// The pepper of these bytes, from where the application keeps its secrets; random ones.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        // HMAC fills a key up to its block with zeros.
        let mut block = [0; 64];
        block[..32].copy_from_slice(secret);
        Self(Hmac::new(&block.into()))
    }

    /// HMAC-SHA256 of the fields, each with its length before it.
    pub(crate) fn mac(&self, fields: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.0.clone();
        for field in fields {
            mac.update(&(field.len() as u64).to_be_bytes());
            mac.update(field);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis_patterns_core::hex;

    /// RFC 4231, test case 1; its key of 20 bytes is filled up with zeros.
    #[test]
    fn a_mac_is_hmac_sha256() {
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let bare = Pepper::new(&key).0.chain_update("Hi There").finalize().into_bytes();
        assert_eq!(hex(&bare), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let pepper = Pepper::new(&[1; 32]);
        assert_ne!(pepper.mac(&[b"a", b"bc"]), pepper.mac(&[b"ab", b"c"]));
        assert_ne!(pepper.mac(&[b"a"]), Pepper::new(&[2; 32]).mac(&[b"a"]));
    }
}
