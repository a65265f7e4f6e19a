//! Resolver: turns names into addresses and tells failures apart. A name that does not exist is its
//! owner's failure; name servers that do not answer are the operator's. Whether an address may be
//! called is for [`egress`](crate::egress) to decide.

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
use tokio::time::timeout;

/// Time limit of one look-up with the system's name servers.
// Together with the probe, which takes up to half as long, it stays within the 5 s that a call has
// to connect: a silent name server shows as such and not as a failure to connect.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(3);

/// Longest time for which an answer is cached, whatever TTL it has, so that calls follow an
/// endpoint that moved within a minute.
const POSITIVE_TTL: Duration = Duration::from_mins(1);

/// Longest time for which a missing name is cached, so that the next try finds a name that was
/// added.
const NEGATIVE_TTL: Duration = Duration::from_secs(5);

/// Largest number of cached answers.
const CACHE_SIZE: u64 = 4_096;

/// Client of name servers. Clones share a cache.
#[derive(Clone)]
pub struct Resolver {
    names: TokioResolver,
    /// Resolver without a cache, which shows whether the name servers answer right now.
    probe: TokioResolver,
    timeout: Duration,
}

/// Reason why a name has no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// Name that has no address, or whose own name servers do not answer while the configured ones
    /// do.
    #[error("the name was not found")]
    NotFound,
    /// No answer from any of the configured name servers.
    #[error("no name server answers")]
    NoNameServer,
}

impl Resolver {
    /// Creates a resolver with the system's configuration: `/etc/hosts` and `/etc/resolv.conf`.
    ///
    /// Search domains are ignored, so that no customer's name can mean a host of the operator's
    /// domain.
    ///
    /// # Errors
    /// [`Error::Broken`] when the system's configuration cannot be read.
    pub fn system() -> Result<Self, Error> {
        let (config, mut options) =
            hickory_resolver::system_conf::read_system_conf().map_err(broken)?;
        options.use_hosts_file = ResolveHosts::Always;

        Self::new(config, options, LOOKUP_TIMEOUT)
    }

    /// Creates a resolver that asks these name servers alone, for up to `timeout` about one name.
    ///
    /// # Errors
    /// [`Error::Broken`] when the configuration cannot be used.
    pub fn with_servers(servers: &[SocketAddr], timeout: Duration) -> Result<Self, Error> {
        let servers = servers
            .iter()
            .map(|server| {
                let mut config = NameServerConfig::udp_and_tcp(server.ip());
                for connection in &mut config.connections {
                    connection.port = server.port();
                }
                config
            })
            .collect();
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);

        let mut options = ResolverOpts::default();
        options.use_hosts_file = ResolveHosts::Never;

        Self::new(config, options, timeout)
    }

    fn new(
        config: ResolverConfig,
        mut options: ResolverOpts,
        timeout: Duration,
    ) -> Result<Self, Error> {
        // One attempt is two queries at 40 % of the time each: if one family's answer never comes,
        // the other's is still returned before the whole look-up times out.
        options.attempts = 1;
        options.timeout = timeout * 2 / 5;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.positive_max_ttl = Some(POSITIVE_TTL);
        options.negative_max_ttl = Some(NEGATIVE_TTL);

        options.cache_size = 0;
        let probe = build(config.clone(), options.clone())?;
        options.cache_size = CACHE_SIZE;
        let names = build(config, options)?;

        Ok(Self {
            names,
            probe,
            timeout,
        })
    }

    /// Returns the addresses of a name: at least one.
    pub(crate) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Failure> {
        // An absolute name, with the root's dot, is never completed with a search domain.
        let mut absolute = Name::from_ascii(name).map_err(|_| Failure::NotFound)?;
        absolute.set_fqdn(true);

        let found: Vec<IpAddr> = match timeout(self.timeout, self.names.lookup_ip(absolute)).await {
            Ok(Ok(found)) => found.iter().collect(),
            Ok(Err(error)) if is_negative_answer(&error) => Vec::new(),
            Ok(Err(_)) | Err(_) => return Err(self.cause_of_silence().await),
        };

        if found.is_empty() {
            Err(Failure::NotFound)
        } else {
            Ok(found)
        }
    }

    /// Finds out who is at fault for a look-up that brought no answer.
    async fn cause_of_silence(&self) -> Failure {
        // The name servers of the name's owner may be the silent ones. The configured servers are
        // asked about the root, which every working name server can answer.
        let root = self.probe.lookup(Name::root(), RecordType::NS);

        match timeout(self.timeout / 2, root).await {
            Ok(Ok(_)) => Failure::NotFound,
            Ok(Err(error)) if is_negative_answer(&error) => Failure::NotFound,
            Ok(Err(_)) | Err(_) => Failure::NoNameServer,
        }
    }
}

/// Returns whether an error is a name server's answer that there is no such record, as opposed to
/// no answer.
fn is_negative_answer(error: &NetError) -> bool {
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
    Error::broken("webhook name resolver", why)
}
