//! Guarded name resolution: the client connects to the addresses returned here and to no others.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::egress::Egress;
use crate::resolver::{Failure, Resolver};

/// Largest number of addresses of one name that are tried.
// The time to connect is shared by all of them, and a name may have hundreds.
const MAX_ADDRESSES: usize = 8;

/// Resolver that returns permitted addresses only.
// This closes DNS rebinding: the address that is checked is the very address that is dialled. If
// the check were made beforehand, the name could lead to an internal address by the time of the
// call.
pub(super) struct GuardedResolver {
    resolver: Resolver,
    egress: Arc<Egress>,
}

/// Reason why no connection to a name is tried.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(super) enum NotDialled {
    #[error(transparent)]
    Unresolved(#[from] Failure),
    #[error("the name resolves to no address that may be called")]
    Refused,
}

impl GuardedResolver {
    pub(super) fn new(resolver: Resolver, egress: Arc<Egress>) -> Self {
        Self { resolver, egress }
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.resolver.clone();
        let egress = Arc::clone(&self.egress);

        Box::pin(async move {
            let found = resolver
                .addresses(name.as_str())
                .await
                .map_err(NotDialled::from)?;

            // Filtered one by one: a name with a permitted and an internal address is called at the
            // permitted one.
            let permitted: Vec<IpAddr> = found
                .into_iter()
                .filter(|address| egress.permits(*address).is_ok())
                .take(MAX_ADDRESSES)
                .collect();
            if permitted.is_empty() {
                return Err(NotDialled::Refused.into());
            }

            // The client replaces port 0 by the port of the URL.
            let addresses = permitted
                .into_iter()
                .map(|address| SocketAddr::new(address, 0));
            let addresses: Addrs = Box::new(addresses);
            Ok(addresses)
        })
    }
}
