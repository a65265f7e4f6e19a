//! Names to addresses, with failures told apart: a name that does not exist is its owner's, name servers that do not
//! answer are ours. It refuses to judge addresses; [`egress`](super::egress) does.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use backbone::Error;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RecordType};

/// How long one look-up may take with the system's name servers. With half of it for asking whether they are there
/// at all, a call's time to connect is not yet over.
const PATIENCE: Duration = Duration::from_secs(3);

/// An endpoint that moved is found within so long, whatever its name servers said before.
const REMEMBERED: Duration = Duration::from_mins(1);

/// A name that comes to exist is found by the next try.
const MISSED: Duration = Duration::from_secs(5);

/// Answers that are remembered.
const CACHE: u64 = 4_096;

/// Asks name servers. Clones share what they remember.
#[derive(Clone)]
pub struct Resolver {
    names: TokioResolver,
    /// Without memory: what it says is so now.
    probe: TokioResolver,
    patience: Duration,
}

/// Why a name gave no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// It has none, or those who should know do not say while ours answer.
    #[error("name not found")]
    NotFound,
    /// Ours do not answer.
    #[error("no name server answers")]
    NoNameServer,
}

impl Resolver {
    /// Asks as this system does: by `/etc/hosts` and `/etc/resolv.conf`, but never completes a name, so that no
    /// customer's name means a host of the operator's domain.
    ///
    /// # Errors
    /// [`Error::Broken`] when the system's configuration cannot be read.
    pub fn system() -> Result<Self, Error> {
        let (config, mut options) =
            hickory_resolver::system_conf::read_system_conf().map_err(broken)?;
        options.use_hosts_file = ResolveHosts::Always;
        Self::new(config, options, PATIENCE)
    }

    /// Asks these name servers alone, for up to `patience` about one name.
    ///
    /// # Errors
    /// [`Error::Broken`] when they cannot be asked at all.
    pub fn asking(servers: &[SocketAddr], patience: Duration) -> Result<Self, Error> {
        let at = |server: &SocketAddr| {
            let mut config = NameServerConfig::udp_and_tcp(server.ip());
            for connection in &mut config.connections {
                connection.port = server.port();
            }
            config
        };
        let config = ResolverConfig::from_parts(None, Vec::new(), servers.iter().map(at).collect());
        let mut options = ResolverOpts::default();
        options.use_hosts_file = ResolveHosts::Never;
        Self::new(config, options, patience)
    }

    fn new(
        config: ResolverConfig,
        mut options: ResolverOpts,
        patience: Duration,
    ) -> Result<Self, Error> {
        // Twice, and both within the patience: one kind of address must not wait in vain for the other.
        options.attempts = 1;
        options.timeout = patience * 2 / 5;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.positive_max_ttl = Some(REMEMBERED);
        options.negative_max_ttl = Some(MISSED);
        options.cache_size = 0;
        let probe = build(config.clone(), options.clone())?;
        options.cache_size = CACHE;
        Ok(Self {
            names: build(config, options)?,
            probe,
            patience,
        })
    }

    /// The addresses of a name: at least one.
    pub(super) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Failure> {
        let mut absolute = Name::from_ascii(name).map_err(|_| Failure::NotFound)?;
        absolute.set_fqdn(true);
        let found = match tokio::time::timeout(self.patience, self.names.lookup_ip(absolute)).await
        {
            Ok(Ok(found)) => found.iter().collect(),
            Ok(Err(error)) if is_an_answer(&error) => Vec::new(),
            Ok(Err(_)) | Err(_) => return Err(self.who_is_silent().await),
        };
        if found.is_empty() {
            Err(Failure::NotFound)
        } else {
            Ok(found)
        }
    }

    /// A failure that says nothing of the name may be that of its own name servers: ours are asked for what
    /// everybody's know.
    async fn who_is_silent(&self) -> Failure {
        let root = self.probe.lookup(Name::root(), RecordType::NS);
        match tokio::time::timeout(self.patience / 2, root).await {
            Ok(Ok(_)) => Failure::NotFound,
            Ok(Err(error)) if is_an_answer(&error) => Failure::NotFound,
            Ok(Err(_)) | Err(_) => Failure::NoNameServer,
        }
    }
}

/// Whether a name server said that there is nothing, rather than nothing.
fn is_an_answer(error: &NetError) -> bool {
    matches!(
        error,
        NetError::Dns(DnsError::NoRecordsFound(none))
            if matches!(none.response_code, ResponseCode::NXDomain | ResponseCode::NoError)
    )
}

fn build(config: ResolverConfig, options: ResolverOpts) -> Result<TokioResolver, Error> {
    let provider = TokioRuntimeProvider::default();
    TokioResolver::builder_with_config(config, provider)
        .with_options(options)
        .build()
        .map_err(broken)
}

fn broken(why: impl std::fmt::Display) -> Error {
    Error::broken("the resolver of names", why)
}
