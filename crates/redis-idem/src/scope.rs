//! Whose keys these are.

use std::fmt;

/// The party whose keys are meant: two parties that choose the same key never meet.
///
/// # Required on purpose
///
/// Where keys are shared, whoever guesses another's key reads the stored response. Take the scope
/// from the authenticated caller, never from the request, and use [`Scope::Global`] only where
/// every caller may see every outcome, such as in a worker without tenants.
///
/// ```
/// use redis_idem::Scope;
///
/// let ann = Scope::tenant("acme");
/// assert_ne!(ann, Scope::principal("acme"), "a tenant is not a user of the same name");
/// assert_eq!(format!("{ann:?}"), "Tenant(..)");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// Everybody's: keys are shared by all callers.
    Global,
    /// A customer of the service, by an id of at least one byte.
    Tenant(Vec<u8>),
    /// A user or machine, by an id of at least one byte.
    Principal(Vec<u8>),
}

impl Scope {
    /// The keys of one tenant.
    #[must_use]
    pub fn tenant(id: impl AsRef<[u8]>) -> Self {
        Self::Tenant(id.as_ref().to_vec())
    }

    /// The keys of one user or machine.
    #[must_use]
    pub fn principal(id: impl AsRef<[u8]>) -> Self {
        Self::Principal(id.as_ref().to_vec())
    }

    /// The kind and the id, as they go into the hash.
    pub(crate) fn fields(&self) -> (&'static str, &[u8]) {
        match self {
            Self::Global => ("global", b""),
            Self::Tenant(id) => ("tenant", id),
            Self::Principal(id) => ("principal", id),
        }
    }
}

impl fmt::Debug for Scope {
    // Ids of users are not for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Global => "Global",
            Self::Tenant(_) => "Tenant(..)",
            Self::Principal(_) => "Principal(..)",
        })
    }
}
