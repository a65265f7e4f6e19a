//! Settings of a listener, with defaults for a public address.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

/// Settings of one listener. The default serves clear text to direct clients.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Limits of each stage of a connection.
    pub deadlines: Deadlines,
    /// Numbers of connections that are open at once.
    pub caps: Caps,
    /// Networks of the proxies in front of this process. Their addresses are not clients, so the cap for one client
    /// does not apply to them. Default: none.
    pub trusted_proxies: Vec<IpNet>,
    /// Requirement that each connection from [`trusted_proxies`](Self::trusted_proxies) begins with a header of the
    /// PROXY protocol, version 1 or 2. From other addresses the header is never accepted. Default: false.
    pub proxy_protocol: bool,
    /// Certificate and key for TLS; without them the listener serves clear text. Default: none.
    pub tls: Option<TlsFiles>,
    /// Time between two looks at the TLS files. A new pair is used once two looks found the same content, so that a
    /// half-written file is not loaded. Default: 5 s.
    pub tls_check: Duration,
    /// Time between the beginning of the shutdown, or the announcement that a connection will close, and the moment
    /// when it is dropped. Default: 1 s.
    pub grace: Duration,
}

/// Limits of each stage of a connection. A connection that exceeds one is closed.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// Time from the acceptance of a connection to the end of its PROXY header. Default: 10 s.
    pub proxy_header: Duration,
    /// Time for the whole TLS handshake. Default: 10 s.
    pub tls_handshake: Duration,
    /// Time for a request head. For the first one it runs from the beginning of the connection, for later ones from
    /// their first byte. In HTTP/2 it is the time for one frame, and for a header block with its continuations.
    /// Default: 10 s.
    pub request_head: Duration,
    /// Time for a request body, from the moment when its handler first waits for it. The handler sees
    /// [`BodyError::Late`](crate::BodyError::Late), an error response gets status 408, and the connection closes.
    /// Default: 10 s.
    pub request_body: Duration,
    /// Time for which a connection may have no request, after its last response or, in HTTP/2, from its beginning.
    /// Default: 75 s.
    pub idle: Duration,
    /// Time for which a response may wait for its reader without any progress. Default: 10 s.
    pub write: Duration,
}

/// Numbers of connections that are open at once, upgraded ones included. A connection beyond them is closed at once.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Connections in all. Default: 50,000.
    pub connections: usize,
    /// Connections of one client: an IPv4 address or an IPv6 network of 64 bits. Default: 1,000.
    pub per_client: usize,
}

/// PEM files for TLS.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Path of the certificate, followed by those of its issuers.
    pub cert: PathBuf,
    /// Path of the private key: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            deadlines: Deadlines::default(),
            caps: Caps::default(),
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            tls: None,
            tls_check: Duration::from_secs(5),
            grace: Duration::from_secs(1),
        }
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        let usual = Duration::from_secs(10);
        Self {
            proxy_header: usual,
            tls_handshake: usual,
            request_head: usual,
            request_body: usual,
            idle: Duration::from_secs(75),
            write: usual,
        }
    }
}

impl Default for Caps {
    fn default() -> Self {
        Self {
            connections: 50_000,
            per_client: 1_000,
        }
    }
}
