//! Access of administrative commands to the market: on the stores themselves or, when a running embedded server holds
//! the data directory, through that server's API with the key that it left there.

mod listing;
mod server;

use backbone::accounts::{KeyTerms, Role};
use backbone::ids::{BuyerId, SellerId};
use backbone::time::Timestamp;
use seller_core::MutationContext;
use uuid::Uuid;

use super::server_file::ServerAddress;
use super::stores::{CommandError, Stores};
use crate::accounts::{IdempotencyKey, MarketAccounts, NewAccount};
use crate::backends::{DataDir, DataDirError};
use crate::error::Problem;
use crate::settings::{Config, Mode};
use listing::{ListedKey, listed_key};
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
        account: NewAccount<'_>,
        key: Option<&str>,
    ) -> Result<String, CommandError> {
        match self {
            Self::Server(server) => server.create(account, key).await,
            Self::Stores(stores) => {
                let accounts = stores.accounts()?;
                let key = own_key(&accounts, key).await?;
                let account = accounts.create(account, key).await;
                Ok(account.map_err(message)?.id.to_string())
            }
        }
    }

    /// Issues an API key for an account, or for administrators if it is `None`. Returns the key's id and the key.
    pub(super) async fn issue_key(
        &self,
        account: Option<Uuid>,
        terms: KeyTerms<'_>,
        key: Option<&str>,
    ) -> Result<String, CommandError> {
        match self {
            Self::Server(server) => server.issue_key(account, terms, key).await,
            Self::Stores(stores) => {
                let accounts = stores.accounts()?;
                let issued = match account {
                    None => accounts.issue_admin(terms, key).await,
                    Some(account) => {
                        let key = own_key(&accounts, key).await?;
                        accounts.issue(account, terms, key).await
                    }
                };
                let issued = issued.map_err(message)?;
                Ok(format!("{} {}", issued.id, issued.key))
            }
        }
    }

    /// Lists the newest API keys of an account. Returns one line for each.
    pub(super) async fn list_keys(&self, account: Uuid) -> Result<String, CommandError> {
        match self {
            Self::Server(server) => server.list_keys(account).await,
            Self::Stores(stores) => {
                let keys = stores.accounts()?.keys(account).await.map_err(message)?;
                let lines = keys.iter().map(|key| {
                    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
                    listed_key(ListedKey {
                        id: &key.id.to_string(),
                        label: key.label.as_deref(),
                        created: &key.created_at.to_string(),
                        used: time(key.last_used_at).as_deref(),
                        ends: time(key.expires_at).as_deref(),
                        revoked: time(key.revoked_at).as_deref(),
                    })
                });
                Ok(lines.collect::<Vec<String>>().join("\n"))
            }
        }
    }

    /// Enables or disables an account. Returns a sentence.
    pub(super) async fn set_enabled(
        &self,
        id: Uuid,
        enabled: bool,
    ) -> Result<String, CommandError> {
        match self {
            Self::Server(server) => server.set_enabled(id, enabled).await?,
            Self::Stores(stores) => {
                let accounts = stores.accounts()?;
                let changed = if enabled {
                    accounts.enable(id).await
                } else {
                    accounts.disable(id).await
                };
                changed.map_err(message)?;
            }
        }

        let state = if enabled { "enabled" } else { "disabled" };
        Ok(format!("{id} is {state}"))
    }

    /// Revokes an API key. Returns a sentence with the time of its revocation.
    pub(super) async fn revoke_key(&self, id: Uuid) -> Result<String, CommandError> {
        let revoked_at = match self {
            Self::Server(server) => server.revoke_key(id).await?,
            Self::Stores(stores) => {
                let revoked = stores.accounts()?.revoke(id).await;
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
    let accounts = stores.accounts()?;
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

/// Returns an idempotency key of the operator, whose calls those of the command line are.
async fn own_key(
    accounts: &MarketAccounts,
    key: Option<&str>,
) -> Result<Option<IdempotencyKey>, CommandError> {
    let Some(key) = key else { return Ok(None) };

    let operator = accounts.operator().await.map_err(message)?;
    let key = IdempotencyKey::new(operator.id, key).map_err(message)?;
    Ok(Some(key))
}

fn message(problem: Problem) -> CommandError {
    problem.message.into()
}
