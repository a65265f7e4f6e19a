//! Files in a data directory that lead administrative commands to the running embedded server.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use backbone::accounts::{KeyHash, KeyTerms, Role};

use super::stores::CommandError;
use crate::accounts::MarketAccounts;
use crate::backends::{Backends, write_private};

/// File name of the running server's URL.
const URL_FILE: &str = "server";

/// File name of the administrative API key.
const KEY_FILE: &str = "admin-key";

/// File that names the running server's address; removed on drop.
pub(super) struct ServerFile(PathBuf);

/// Contents of the files.
pub(super) struct ServerAddress {
    /// URL of the server's GraphQL endpoint.
    pub(super) url: String,
    /// API key of an administrator.
    pub(super) key: String,
}

impl ServerFile {
    /// Writes the server's address to the data directory, and an administrative API key that only the owner of the
    /// directory can read. The key stays after the server ends, so that only the first start issues one.
    pub(super) async fn write(
        data_dir: &Path,
        address: SocketAddr,
        backends: &Backends,
    ) -> Result<Self, CommandError> {
        // Before the address is written: a command that finds this address finds a valid key
        // beside it.
        ensure_key(&data_dir.join(KEY_FILE), backends).await?;

        // A wildcard address is one to listen on, not one to connect to.
        let ip = if address.ip().is_unspecified() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            address.ip()
        };
        let url = format!("http://{}/graphql", SocketAddr::new(ip, address.port()));

        let path = data_dir.join(URL_FILE);
        write_private(&path, &url)?;
        Ok(Self(path))
    }
}

impl Drop for ServerFile {
    fn drop(&mut self) {
        // A file that stays behind does no harm: the next server overwrites it, and until then commands find the data
        // directory unlocked and use the stores themselves.
        let _removed = std::fs::remove_file(&self.0);
    }
}

impl ServerAddress {
    /// Reads the files of a data directory.
    ///
    /// # Errors
    /// The server has not written them yet.
    pub(super) fn read(data_dir: &Path) -> Result<Self, CommandError> {
        let line = |file: &str| {
            let text = std::fs::read_to_string(data_dir.join(file));
            text.map(|text| text.trim().to_owned()).map_err(
                |_| "a server is using the data directory but is not ready yet; try again in a moment",
            )
        };

        Ok(Self {
            url: line(URL_FILE)?,
            key: line(KEY_FILE)?,
        })
    }
}

/// Issues an administrative key unless the file holds one that is valid.
async fn ensure_key(path: &Path, backends: &Backends) -> Result<(), CommandError> {
    // The key in the file may have been revoked, or belong to databases that were deleted since.
    let holder = match std::fs::read_to_string(path) {
        Ok(key) => {
            let hash = KeyHash::of(key.trim());
            backends.sellers.accounts().holder(hash).await?
        }
        Err(_) => None,
    };
    if holder.is_some_and(|holder| holder.role == Role::Admin) {
        return Ok(());
    }

    let accounts = MarketAccounts::new(&backends.sellers, &backends.buyers, None);
    let terms = KeyTerms {
        label: Some(KEY_FILE),
        expires_at: None,
    };
    let issued = accounts
        .issue_admin(terms, None)
        .await
        .map_err(|problem| problem.message)?;
    write_private(path, &issued.key)?;
    Ok(())
}
