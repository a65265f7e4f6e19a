//! Files with which a client of a server uses TLS, for servers whose URLs cannot name them.

use std::path::{Path, PathBuf};

use crate::Error;

/// Certificates in PEM files. Without any, the certificates that the system trusts are used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientTls {
    /// Certificates of the authorities that may have signed the server's, in place of the system's.
    pub ca: Option<PathBuf>,
    /// Certificate of this client, with its private key.
    pub identity: Option<Identity>,
}

/// A certificate of this client, followed by those of its issuers, and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// PEM file with the certificate.
    pub cert: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

impl ClientTls {
    /// Returns whether any file is named.
    pub fn is_given(&self) -> bool {
        *self != Self::default()
    }
}

/// Reads a file that a setting names.
///
/// # Errors
/// [`Error::Broken`] with the name of the file. The content is in no message.
pub(crate) fn read(what: &'static str, file: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(file)
        .map_err(|error| Error::broken(what, format!("{} cannot be read: {error}", file.display())))
}
