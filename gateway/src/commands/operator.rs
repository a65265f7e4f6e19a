//! Access of administrative commands to the market: on the stores themselves or, when a running embedded server holds
//! the data directory, through that server's API with the key that it left there.

mod server;

use backbone::accounts::Role;
use backbone::ids::{BuyerId, SellerId};
use seller_core::MutationContext;
use uuid::Uuid;

use super::server_file::ServerAddress;
use super::stores::{CommandError, Stores};
use crate::backends::{DataDir, DataDirError};
use crate::error::Problem;
use crate::settings::{Config, Mode};
use server::Server;

/// Target of administrative commands.
pub(super) enum Operator {
    Stores(Box<Stores>),
    Server(Server),
}

impl Operator {
    /// Opens the stores, or finds the server that has them open.
    pub(super) async fn connect(config: Config) -> Result<Self, CommandError> {
        if let Mode::Embedded { data_dir } = &config.mode {
            match DataDir::lock(data_dir) {
                // Released at once, because opening the stores takes the lock again.
                Ok(free) => drop(free),
                Err(DataDirError::InUse(_)) => {
                    return Ok(Self::Server(Server::new(ServerAddress::read(data_dir)?)?));
                }
                Err(error) => return Err(error.into()),
            }
        }

        let stores = Stores::open(config).await?;
        stores.prepare().await?;
        Ok(Self::Stores(Box::new(stores)))
    }

    /// Closes the stores, if they were opened.
    pub(super) async fn close(self) -> Result<(), CommandError> {
        match self {
            Self::Stores(stores) => stores.close().await,
            Self::Server(_) => Ok(()),
        }
    }

    /// Creates an account. Returns its id.
    pub(super) async fn create(
        &self,
        role: Role,
        name: &str,
        id: Option<Uuid>,
    ) -> Result<String, CommandError> {
        match self {
            Self::Server(server) => server.create(role, name, id).await,
            Self::Stores(stores) => {
                let account = stores.accounts().create(role, name, id).await;
                Ok(account.map_err(message)?.id.to_string())
            }
        }
    }

    /// Issues an API key for an account, or for administrators if it is `None`. Returns the key's id and the key.
    pub(super) async fn issue_key(
        &self,
        account: Option<Uuid>,
        label: Option<&str>,
    ) -> Result<String, CommandError> {
        match self {
            Self::Server(server) => server.issue_key(account, label).await,
            Self::Stores(stores) => {
                let issued = match account {
                    None => stores.accounts().issue_admin(label).await,
                    Some(account) => stores.accounts().issue(account, label).await,
                };
                let issued = issued.map_err(message)?;
                Ok(format!("{} {}", issued.id, issued.key))
            }
        }
    }

    /// Revokes an API key. Returns a sentence with the time of its revocation.
    pub(super) async fn revoke_key(&self, id: Uuid) -> Result<String, CommandError> {
        let revoked_at = match self {
            Self::Server(server) => server.revoke_key(id).await?,
            Self::Stores(stores) => {
                let revoked = stores.accounts().revoke(id).await;
                revoked.map_err(message)?.to_string()
            }
        };

        Ok(format!("revoked at {revoked_at}"))
    }

    /// Grants or revokes a buyer's access to a seller's deals. Returns a sentence with the position of the change.
    pub(super) async fn change_access(
        &self,
        seller: SellerId,
        buyer: BuyerId,
        granted: bool,
    ) -> Result<String, CommandError> {
        let position = match self {
            Self::Server(server) => server.change_access(seller, buyer, granted).await?,
            Self::Stores(stores) => change_access(stores, seller, buyer, granted).await?,
        };

        Ok(format!("at position {position}"))
    }
}

async fn change_access(
    stores: &Stores,
    seller: SellerId,
    buyer: BuyerId,
    granted: bool,
) -> Result<String, CommandError> {
    // The event log would accept any pair of ids; a mistyped one would grant access to nobody without a word.
    let accounts = stores.accounts();
    accounts
        .must_exist(Role::Seller, seller.0)
        .await
        .map_err(message)?;
    accounts
        .must_exist(Role::Buyer, buyer.0)
        .await
        .map_err(message)?;

    let sellers = &stores.backends.sellers;
    let context = MutationContext::default();
    let written = if granted {
        sellers.grant_access(seller, buyer, context).await?
    } else {
        sellers.revoke_access(seller, buyer, context).await?
    };
    Ok(written.position.to_string())
}

fn message(problem: Problem) -> CommandError {
    problem.message.into()
}
