//! Reasons for which a process does not start.

use std::net::SocketAddr;

use backbone::Error;

use crate::backends::DataDirError;
use crate::demo::SeedError;

/// Failure to start a process.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// A store cannot be opened.
    #[error(transparent)]
    Store(#[from] Error),
    /// The demo market cannot be created.
    #[error(transparent)]
    Demo(#[from] SeedError),
    /// The market holds the demo's public keys, and the listen address is reachable from other machines.
    #[error(
        "refusing to listen on {0}: this market holds the demo, whose API keys are public. \
         Listen on a loopback address such as 127.0.0.1:8080, or pass --demo to serve it anyway"
    )]
    PublicKeys(SocketAddr),
    /// Trusted documents cannot be used; each sentence names a file or a document.
    #[error("trusted documents cannot be used: {}", .0.join("; "))]
    TrustedDocuments(Vec<String>),
    /// The address cannot be listened on.
    #[error(
        "cannot listen on {address}: {why}. Choose another address with --listen or --admin-listen"
    )]
    Listen {
        /// Address as configured.
        address: SocketAddr,
        /// Error of the operating system.
        why: std::io::Error,
    },
}
