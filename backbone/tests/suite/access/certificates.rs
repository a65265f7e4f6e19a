//! Certificates of a test's own authority, in files.

use std::fs;
use std::path::{Path, PathBuf};

use backbone::client_tls::Identity;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

/// An authority that nobody trusts who was not told to.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let key = KeyPair::generate().expect("a key can be made");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(DnType::CommonName, "authority of a test");

        let cert = params.self_signed(&key).expect("it signs itself");
        fs::write(folder.path().join("ca.pem"), cert.pem()).expect("the folder is ours");
        Self {
            issuer: Issuer::new(params, key),
            folder,
        }
    }

    /// File with the authority's certificate.
    pub(super) fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// Issues a certificate for this machine, or for a client of that name.
    pub(super) fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().expect("a key can be made");
        let names = ["127.0.0.1", "localhost"].map(str::to_owned);
        let mut params = CertificateParams::new(names).expect("they are names");
        params.distinguished_name.push(DnType::CommonName, name);

        let cert = params
            .signed_by(&key, &self.issuer)
            .expect("the authority signs");
        Identity {
            cert: self.write(&format!("{name}.pem"), &cert.pem()),
            key: self.write(&format!("{name}.key"), &key.serialize_pem()),
        }
    }

    /// Writes a file beside the certificates.
    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("the folder is ours");
        path
    }
}

/// Path as text, for arguments and configurations.
pub(super) fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are text")
}
