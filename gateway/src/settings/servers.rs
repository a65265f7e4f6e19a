//! Settings of credentials and certificates for the servers of production mode, as far as a URL cannot hold them.

use std::path::PathBuf;

use backbone::client_tls::{ClientTls, Identity};
use backbone::event_log::NatsAccess;
use clap::Args;

/// Access to the servers of production mode.
#[derive(Clone, Debug, Default)]
pub struct ServerAccess {
    /// Credentials and certificates for NATS.
    pub nats: NatsAccess,
    /// Certificates for Redis.
    pub redis: ClientTls,
}

/// Flags of the servers, as given.
#[derive(Args, Clone, Debug)]
pub(super) struct ServerSettings {
    /// File with NATS credentials, as nsc writes it (.creds): a user's JWT and seed
    ///
    /// Replaces a user and password, or a token, in --nats-url. Read once, at the start.
    #[arg(
        long,
        env = "DEALWIRE_NATS_CREDENTIALS",
        value_name = "FILE",
        global = true
    )]
    nats_credentials: Option<PathBuf>,

    /// File with the seed of an nkey for NATS
    ///
    /// Read once, at the start.
    #[arg(
        long,
        env = "DEALWIRE_NATS_NKEY_FILE",
        value_name = "FILE",
        global = true
    )]
    nats_nkey_file: Option<PathBuf>,

    /// PEM file with the certificates that may have signed those of the NATS servers
    ///
    /// Replaces those that the system trusts. The connection then uses TLS, whatever the URL says.
    #[arg(long, env = "DEALWIRE_NATS_CA", value_name = "FILE", global = true)]
    nats_ca: Option<PathBuf>,

    /// PEM file with the certificate that this process shows to NATS, followed by those of its issuers
    #[arg(long, env = "DEALWIRE_NATS_CERT", value_name = "FILE", global = true)]
    nats_cert: Option<PathBuf>,

    /// PEM file with the private key of --nats-cert
    #[arg(long, env = "DEALWIRE_NATS_KEY", value_name = "FILE", global = true)]
    nats_key: Option<PathBuf>,

    /// PEM file with the certificates that may have signed that of a rediss:// server
    ///
    /// Replaces those that the system trusts. Read once, at the start.
    #[arg(long, env = "DEALWIRE_REDIS_CA", value_name = "FILE", global = true)]
    redis_ca: Option<PathBuf>,

    /// PEM file with the certificate that this process shows to Redis, followed by those of its issuers
    #[arg(long, env = "DEALWIRE_REDIS_CERT", value_name = "FILE", global = true)]
    redis_cert: Option<PathBuf>,

    /// PEM file with the private key of --redis-cert
    #[arg(long, env = "DEALWIRE_REDIS_KEY", value_name = "FILE", global = true)]
    redis_key: Option<PathBuf>,
}

impl ServerSettings {
    /// Returns the access. Flags that make no sense without others are added to `faults`.
    pub(super) fn check(&self, faults: &mut Vec<String>) -> ServerAccess {
        if self.nats_credentials.is_some() && self.nats_nkey_file.is_some() {
            faults.push(
                "--nats-credentials and --nats-nkey-file exclude each other; set one of them"
                    .to_owned(),
            );
        }

        ServerAccess {
            nats: NatsAccess {
                credentials: self.nats_credentials.clone(),
                nkey: self.nats_nkey_file.clone(),
                tls: ClientTls {
                    ca: self.nats_ca.clone(),
                    identity: identity("nats", &self.nats_cert, &self.nats_key, faults),
                },
            },
            redis: ClientTls {
                ca: self.redis_ca.clone(),
                identity: identity("redis", &self.redis_cert, &self.redis_key, faults),
            },
        }
    }
}

fn identity(
    server: &str,
    cert: &Option<PathBuf>,
    key: &Option<PathBuf>,
    faults: &mut Vec<String>,
) -> Option<Identity> {
    if cert.is_some() != key.is_some() {
        faults.push(format!(
            "--{server}-cert and --{server}-key must be given together"
        ));
    }

    let (cert, key) = cert.clone().zip(key.clone())?;
    Some(Identity { cert, key })
}
