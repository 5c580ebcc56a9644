//! TLS by rustls.

use crate::error::{Error, ErrorKind, Executed};
use fred::rustls::pki_types::CertificateDer;
use fred::rustls::pki_types::pem::PemObject;
use fred::rustls::{ClientConfig, RootCertStore};
use fred::types::config::TlsConnector;

/// Whether the URL's scheme asks for TLS: `rediss`, `rediss-cluster`, `valkeys`, ...
pub(super) fn is_asked_for(url: &str) -> bool {
    let scheme = url.split(':').next().unwrap_or_default();
    let base = scheme.split('-').next().unwrap_or_default();
    matches!(base, "rediss" | "valkeys")
}

/// A connector that trusts `ca_pem`, or what the operating system trusts.
pub(super) fn connector(ca_pem: Option<&[u8]>) -> Result<TlsConnector, Error> {
    let Some(pem) = ca_pem else {
        return TlsConnector::default_rustls().map_err(|error| {
            refused("the operating system's certificate authorities cannot be read").with_source(error)
        });
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| refused("the certificate authority is not in PEM form"))?;
        roots
            .add(certificate)
            .map_err(|error| refused("the certificate authority is refused").with_source(error))?;
    }
    if roots.is_empty() {
        return Err(refused("the PEM text holds no certificate"));
    }
    Ok(ClientConfig::builder().with_root_certificates(roots).with_no_client_auth().into())
}

fn refused(what: &'static str) -> Error {
    Error::new(ErrorKind::Config, Executed::No, "connect", what)
}
