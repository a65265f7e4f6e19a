//! Scenarios, one module for each subcommand, and what several of them need.

pub(crate) mod burst;
pub(crate) mod fanout;
pub(crate) mod guards;
pub(crate) mod idle;
pub(crate) mod interest;
pub(crate) mod mutate;
pub(crate) mod project;
pub(crate) mod query;
mod request_load;
pub(crate) mod resume;
pub(crate) mod scale;
pub(crate) mod stalled;
mod subscribers;
pub(crate) mod webhooks;

use std::net::SocketAddr;

use futures_util::stream::{StreamExt, TryStreamExt, iter};
use url::Url;

use crate::client::{Socket, address};
use crate::error::BoxError;
use crate::limit::RunningLimit;
use crate::process::Process;

/// Number of sockets being opened at any time. Thousands of connects at one moment could overflow
/// the server's backlog of pending connections, and would then wait for TCP to retransmit.
const CONCURRENT_OPENS: usize = 64;

/// Server under test: the address it listens on, and the process that is charged for the work.
#[derive(Clone)]
struct Server {
    address: SocketAddr,
    process: Process,
}

impl Server {
    /// Finds the server behind a URL.
    ///
    /// # Errors
    /// No visible process of this machine listens on the URL's port.
    fn at(url: &Url) -> Result<Self, BoxError> {
        let address = address(url)?;

        Ok(Self {
            address,
            process: Process::listening_on(address.port())?,
        })
    }

    fn of_limit(limit: &RunningLimit) -> Result<Self, BoxError> {
        Ok(Self {
            address: address(&limit.url)?,
            process: limit.process,
        })
    }
}

/// Opens many sockets, [`CONCURRENT_OPENS`] at a time. Their order is not kept.
async fn open_all(
    sockets: impl Iterator<Item = impl Future<Output = Result<Socket, BoxError>>>,
) -> Result<Vec<Socket>, BoxError> {
    // An error drops the sockets that are open already, and so closes them: a scenario with a
    // socket too few would measure another load than its title says.
    iter(sockets)
        .buffer_unordered(CONCURRENT_OPENS)
        .try_collect()
        .await
}
