//! TLS with a certificate that can be replaced while the process runs.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::metrics::Counters;
use crate::settings::TlsFiles;

/// TLS of one listener.
pub(crate) struct Tls {
    files: TlsFiles,
    /// Contents that the process started with.
    first: Pair,
    // Held to copy or replace a pointer only. Handshakes that have begun keep the configuration they began with.
    current: RwLock<Arc<ServerConfig>>,
}

/// Contents of the two files.
#[derive(Clone, PartialEq, Eq)]
struct Pair {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    /// Loads the files.
    ///
    /// # Errors
    /// An error that names the file which cannot be read or holds something else.
    pub(crate) fn load(files: &TlsFiles) -> io::Result<Self> {
        let pair = Pair {
            cert: named(&files.cert, std::fs::read(&files.cert))?,
            key: named(&files.key, std::fs::read(&files.key))?,
        };
        let config = pair.config(files)?;

        Ok(Self {
            files: files.clone(),
            first: pair,
            current: RwLock::new(Arc::new(config)),
        })
    }

    /// Returns what accepts a connection with the current certificate.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        Arc::clone(&self.current.read()).into()
    }

    /// Looks at the files at each interval, and uses a new pair as soon as it is complete. Never ends.
    pub(crate) async fn follow(&self, interval: Duration, counters: &Counters) {
        let mut tried = Ok(self.first.clone());
        let mut seen = tried.clone();
        loop {
            tokio::time::sleep(interval).await;
            let now = self.read().await;

            // Contents that differ from the last look may be half of a change: certificate and key are two files.
            let settled = now == seen;
            seen = now;
            if !settled || seen == tried {
                continue;
            }

            tried = seen.clone();
            self.replace(&tried, counters);
        }
    }

    fn replace(&self, pair: &Result<Pair, String>, counters: &Counters) {
        let loaded = pair.as_ref().map_err(Clone::clone);
        let loaded = loaded.and_then(|pair| {
            let config = pair.config(&self.files);
            config.map_err(|error| error.to_string())
        });

        match loaded {
            Ok(config) => {
                *self.current.write() = Arc::new(config);
                counters.tls_reloads.inc();
                tracing::info!(cert = %self.files.cert.display(), "new TLS certificate loaded");
            }
            Err(error) => {
                counters.tls_reload_failures.inc();
                tracing::error!(
                    error,
                    "the changed TLS files are not used, the old ones stay"
                );
            }
        }
    }

    async fn read(&self) -> Result<Pair, String> {
        let cert = named(&self.files.cert, tokio::fs::read(&self.files.cert).await);
        let key = named(&self.files.key, tokio::fs::read(&self.files.key).await);
        let read = cert.and_then(|cert| Ok(Pair { cert, key: key? }));
        read.map_err(|error| error.to_string())
    }
}

impl Pair {
    fn config(&self, files: &TlsFiles) -> io::Result<ServerConfig> {
        let certs: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.cert).collect();
        let certs = certs.map_err(|error| unusable(&files.cert, &error.to_string()))?;
        if certs.is_empty() {
            return Err(unusable(&files.cert, "it holds no PEM certificate"));
        }
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|error| unusable(&files.key, &error.to_string()))?;

        // The provider is named here, so that the listener does not depend on what the process has installed.
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring supports TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(certs, key)
            .map_err(|error| {
                let cert = files.cert.display();
                unusable(&files.key, &format!("with the certificate {cert}: {error}"))
            })?;

        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn named<T>(file: &Path, result: io::Result<T>) -> io::Result<T> {
    result.map_err(|error| {
        let text = format!("cannot read the TLS file {}: {error}", file.display());
        io::Error::new(error.kind(), text)
    })
}

fn unusable(file: &Path, why: &str) -> io::Error {
    let text = format!("cannot use the TLS file {}: {why}", file.display());
    io::Error::new(io::ErrorKind::InvalidData, text)
}
