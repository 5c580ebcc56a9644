//! One server that speaks TLS, with a certificate authority made for it.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};

use super::group::Group;
use super::ports::Port;
use super::standalone::spec;
use super::{Error, Launcher, Node, Options, paths};

/// One server with TLS, gone when this is dropped. It has a plain port too, for [`Node::conn`].
#[derive(Debug)]
pub struct Tls {
    group: Group,
    url: String,
    ca_pem: String,
    ca_path: PathBuf,
}

/// What a server needs, in PEM.
struct Certificates {
    ca: String,
    server: String,
    key: String,
}

impl Tls {
    /// Starts a server with the default [`Options`]; clients need no certificate.
    ///
    /// # Errors
    ///
    /// When it does not start; a server built without TLS says so in its log.
    pub fn start(launcher: &Launcher) -> Result<Self, Error> {
        Self::start_with(launcher, &Options::new())
    }

    /// Starts a server.
    ///
    /// # Errors
    ///
    /// As [`Tls::start`].
    pub fn start_with(launcher: &Launcher, options: &Options) -> Result<Self, Error> {
        let made = certificates()
            .map_err(|e| Error::io("making the test certificates", std::io::Error::other(e)))?;
        Group::retried(|| start(launcher, options, &made))
    }

    /// `rediss://localhost:port`; the certificate is good for `localhost` and `127.0.0.1`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The certificate authority that a client must trust, in PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A file with the same, there as long as the server.
    #[must_use]
    pub fn ca_path(&self) -> &Path {
        &self.ca_path
    }

    /// The server; its address is that of the plain port.
    #[must_use]
    pub fn node(&self) -> &Node {
        &self.group.nodes[0]
    }
}

fn start(launcher: &Launcher, options: &Options, made: &Certificates) -> Result<Tls, Error> {
    let tls = Port::any()?;
    let mut one = spec("tls", Port::any()?, options);
    let port = tls.number().to_string();
    let set = [
        ["--tls-port", &port],
        ["--tls-cert-file", "server.pem"],
        ["--tls-key-file", "server.key"],
        ["--tls-ca-cert-file", "ca.pem"],
        ["--tls-auth-clients", "no"],
    ];
    one.args.extend(set.into_iter().flatten().map(str::to_owned));
    let files = [("server.pem", &made.server), ("server.key", &made.key), ("ca.pem", &made.ca)];
    one.files.extend(files.map(|(name, text)| (name.to_owned(), text.clone())));
    one.more_ports.push(tls);
    let url = format!("rediss://{}localhost:{port}", options.userinfo());
    let group = Group::start(launcher, vec![one], options.secret())?;
    let ca_path = group.dir().join("ca.pem");
    paths::write(&ca_path, &made.ca)?;
    Ok(Tls { group, url, ca_pem: made.ca.clone(), ca_path })
}

/// A new authority and a certificate for loopback that it has signed.
fn certificates() -> Result<Certificates, rcgen::Error> {
    let mut authority = CertificateParams::new(Vec::<String>::new())?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    authority.distinguished_name.push(DnType::CommonName, "redis-patterns test CA");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let server = CertificateParams::new(names)?.signed_by(&key, &authority)?;
    Ok(Certificates { ca: authority.pem(), server: server.pem(), key: key.serialize_pem() })
}
