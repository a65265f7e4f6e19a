//! Settings of the connections that the public address accepts.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{FalseyValueParser, RangedU64ValueParser};
use ipnet::IpNet;
use listener::{Caps, Settings as ListenerSettings, TlsFiles};

/// Flags of connections, as given.
#[derive(Args, Clone, Debug)]
pub(super) struct ConnectionSettings {
    /// Most connections that are open at a time
    ///
    /// One more is closed at once. Websockets and event streams count like any other.
    #[arg(
        long,
        env = "DEALWIRE_MAX_CONNECTIONS",
        default_value_t = Caps::default().connections,
        value_name = "COUNT",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000_000),
        global = true
    )]
    max_connections: usize,

    /// Most connections of one client address (IPv6: of one /64 network)
    ///
    /// Trusted proxies are not bounded by it; the clients that they announce by the PROXY protocol are.
    #[arg(
        long,
        env = "DEALWIRE_MAX_CONNECTIONS_PER_ADDRESS",
        default_value_t = Caps::default().per_client,
        value_name = "COUNT",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000_000),
        global = true
    )]
    max_connections_per_address: usize,

    /// Networks of the proxies in front of this process, separated by commas: 10.0.0.0/8,fd00::/8
    #[arg(
        long,
        env = "DEALWIRE_TRUSTED_PROXIES",
        value_name = "NETWORKS",
        value_delimiter = ',',
        global = true
    )]
    trusted_proxies: Vec<IpNet>,

    /// Expect a header of the PROXY protocol, version 1 or 2, on each connection from a trusted proxy
    ///
    /// The header names the client's address. From other addresses none is accepted.
    #[arg(
        long,
        env = "DEALWIRE_PROXY_PROTOCOL",
        value_parser = FalseyValueParser::new(),
        global = true
    )]
    proxy_protocol: bool,

    /// Compress results on websockets for clients that offer permessage-deflate, as browsers do
    ///
    /// Fewer bytes are sent, and each result costs memory and time, once for all who select the same.
    #[arg(
        long = "websocket-compression",
        env = "DEALWIRE_WEBSOCKET_COMPRESSION",
        value_parser = FalseyValueParser::new(),
        global = true
    )]
    pub(super) compression: bool,

    /// PEM file with the TLS certificate, followed by those of its issuers
    ///
    /// Read again when it changes. Without it the public address serves clear text.
    #[arg(long, env = "DEALWIRE_TLS_CERT", value_name = "FILE", global = true)]
    tls_cert: Option<PathBuf>,

    /// PEM file with the private key of the TLS certificate
    #[arg(long, env = "DEALWIRE_TLS_KEY", value_name = "FILE", global = true)]
    tls_key: Option<PathBuf>,
}

impl ConnectionSettings {
    /// Returns the settings of the public listener. Flags that make no sense without others are added to `faults`.
    pub(super) fn check(&self, faults: &mut Vec<String>) -> ListenerSettings {
        if self.tls_cert.is_some() != self.tls_key.is_some() {
            faults.push("--tls-cert and --tls-key must be given together".to_owned());
        }
        if self.proxy_protocol && self.trusted_proxies.is_empty() {
            faults.push("--proxy-protocol requires --trusted-proxies".to_owned());
        }

        let tls = self.tls_cert.clone().zip(self.tls_key.clone());

        ListenerSettings {
            caps: Caps {
                connections: self.max_connections,
                per_client: self.max_connections_per_address,
            },
            trusted_proxies: self.trusted_proxies.clone(),
            proxy_protocol: self.proxy_protocol,
            tls: tls.map(|(cert, key)| TlsFiles { cert, key }),
            ..ListenerSettings::default()
        }
    }
}
