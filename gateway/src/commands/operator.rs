//! How administrative commands reach the market: on the stores themselves, or, when a running embedded server holds
//! the data directory, through that server's API with the key it left there.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use backbone::accounts::{KeyHash, Role};
use backbone::ids::{BuyerId, SellerId};
use seller_core::MutationContext;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Failed, Stores};
use crate::accounts::MarketAccounts;
use crate::backends::{Backends, DataDir, DataDirError, write_private};
use crate::error::Problem;
use crate::settings::{Config, Mode};

/// The files of a data directory that lead commands to its server.
const URL_FILE: &str = "server";
const KEY_FILE: &str = "admin-key";

/// Where commands go.
pub(super) enum Operator {
    Stores(Box<Stores>),
    Server(Server),
}

/// A running server and a key of it.
pub(super) struct Server {
    url: String,
    key: String,
}

/// The file that names the running server's address; removed when it ends.
pub(super) struct ServerFile(PathBuf);

impl ServerFile {
    /// Leaves the server's address in the data directory, and beside it an administrative key that only the owner of
    /// the directory can read. The key stays, so that every start but the first finds it.
    pub(super) async fn write(
        data_dir: &Path,
        address: SocketAddr,
        backends: &Backends,
    ) -> Result<Self, Failed> {
        let key_path = data_dir.join(KEY_FILE);
        let known = match std::fs::read_to_string(&key_path) {
            Ok(key) => {
                backends
                    .sellers
                    .accounts()
                    .holder(KeyHash::of(key.trim()))
                    .await?
            }
            Err(_) => None,
        };
        if known.is_none_or(|holder| holder.role != Role::Admin) {
            let accounts = MarketAccounts::new(&backends.sellers, &backends.buyers);
            let issued = accounts.issue_admin(Some(KEY_FILE)).await.map_err(said)?;
            write_private(&key_path, &issued.key)?;
        }
        let ip = if address.ip().is_unspecified() {
            [127, 0, 0, 1].into()
        } else {
            address.ip()
        };
        let path = data_dir.join(URL_FILE);
        write_private(
            &path,
            &format!("http://{}/graphql", SocketAddr::new(ip, address.port())),
        )?;
        Ok(Self(path))
    }
}

impl Drop for ServerFile {
    fn drop(&mut self) {
        // One that stays behind is overwritten by the next server; commands find nobody there until then.
        let _gone = std::fs::remove_file(&self.0);
    }
}

impl Server {
    fn of(data_dir: &Path) -> Result<Self, Failed> {
        let line = |file: &str| {
            let text = std::fs::read_to_string(data_dir.join(file));
            text.map(|text| text.trim().to_owned())
                .map_err(|_| "a server holds the data directory but is not ready yet")
        };
        Ok(Self {
            url: line(URL_FILE)?,
            key: line(KEY_FILE)?,
        })
    }
}

impl Operator {
    pub(super) async fn reach(config: Config) -> Result<Self, Failed> {
        if let Mode::Embedded { data_dir } = &config.mode {
            match DataDir::lock(data_dir) {
                // Given back at once: opening the stores takes it again.
                Ok(free) => drop(free),
                Err(DataDirError::InUse(_)) => return Ok(Self::Server(Server::of(data_dir)?)),
                Err(error) => return Err(error.into()),
            }
        }
        let stores = Stores::open(config).await?;
        stores.ready().await?;
        Ok(Self::Stores(Box::new(stores)))
    }

    pub(super) async fn leave(self) -> Result<(), Failed> {
        match self {
            Self::Stores(stores) => stores.close().await,
            Self::Server(_) => Ok(()),
        }
    }

    pub(super) async fn create(
        &self,
        role: Role,
        name: &str,
        id: Option<Uuid>,
    ) -> Result<String, Failed> {
        match self {
            Self::Server(server) => {
                let field = if role == Role::Buyer {
                    "createBuyer"
                } else {
                    "createSeller"
                };
                let mutation = format!(
                    "mutation($name: String!, $id: ID) {{ {field}(name: $name, id: $id) {{ id }} }}"
                );
                let data = server
                    .ask(&mutation, json!({ "name": name, "id": id }))
                    .await?;
                Ok(text(&data[field]["id"]))
            }
            Self::Stores(stores) => {
                let account = stores
                    .accounts()
                    .create(role, name, id)
                    .await
                    .map_err(said)?;
                Ok(account.id.to_string())
            }
        }
    }

    /// `account`: none for administrators.
    pub(super) async fn issue_key(
        &self,
        account: Option<Uuid>,
        label: Option<&str>,
    ) -> Result<String, Failed> {
        match self {
            Self::Server(server) => {
                let account = match account {
                    Some(account) => account.to_string(),
                    None => {
                        text(&server.ask("{ viewer { id } }", json!({})).await?["viewer"]["id"])
                    }
                };
                let mutation = "mutation($account: ID!, $label: String) {
                    issueApiKey(accountId: $account, label: $label) { id key } }";
                let data = server
                    .ask(mutation, json!({ "account": account, "label": label }))
                    .await?;
                let issued = &data["issueApiKey"];
                Ok(format!("{} {}", text(&issued["id"]), text(&issued["key"])))
            }
            Self::Stores(stores) => {
                let issued = match account {
                    None => stores.accounts().issue_admin(label).await,
                    Some(account) => stores.accounts().issue(account, label).await,
                };
                let issued = issued.map_err(said)?;
                Ok(format!("{} {}", issued.id, issued.key))
            }
        }
    }

    pub(super) async fn revoke_key(&self, id: Uuid) -> Result<String, Failed> {
        let revoked = match self {
            Self::Server(server) => {
                let mutation = "mutation($id: ID!) { revokeApiKey(id: $id) { revokedAt } }";
                let data = server.ask(mutation, json!({ "id": id })).await?;
                text(&data["revokeApiKey"]["revokedAt"])
            }
            Self::Stores(stores) => stores
                .accounts()
                .revoke(id)
                .await
                .map_err(said)?
                .to_string(),
        };
        Ok(format!("revoked at {revoked}"))
    }

    pub(super) async fn access(
        &self,
        seller: SellerId,
        buyer: BuyerId,
        granted: bool,
    ) -> Result<String, Failed> {
        match self {
            Self::Server(server) => {
                let field = if granted {
                    "grantAccess"
                } else {
                    "revokeAccess"
                };
                let mutation = format!(
                    "mutation($seller: ID!, $buyer: ID!) {{
                        {field}(sellerId: $seller, buyerId: $buyer) {{ position }} }}"
                );
                let data = server
                    .ask(&mutation, json!({ "seller": seller, "buyer": buyer }))
                    .await?;
                Ok(format!("at position {}", text(&data[field]["position"])))
            }
            Self::Stores(stores) => {
                stores
                    .accounts()
                    .must_exist(Role::Seller, seller.0)
                    .await
                    .map_err(said)?;
                stores
                    .accounts()
                    .must_exist(Role::Buyer, buyer.0)
                    .await
                    .map_err(said)?;
                let sellers = &stores.backends.sellers;
                let asked = MutationContext {
                    key: None,
                    trace: None,
                };
                let written = match granted {
                    true => sellers.grant_access(seller, buyer, asked).await?,
                    false => sellers.revoke_access(seller, buyer, asked).await?,
                };
                Ok(format!("at position {}", written.position))
            }
        }
    }
}

impl Server {
    async fn ask(&self, query: &str, variables: Value) -> Result<Value, Failed> {
        let client = reqwest::Client::builder().no_proxy().build()?;
        let answer = client
            .post(&self.url)
            .header("x-api-key", &self.key)
            .json(&json!({ "query": query, "variables": variables }))
            .send()
            .await?;
        let mut answer: Value = answer.json().await?;
        match answer["errors"][0]["message"].as_str() {
            Some(message) => Err(message.to_owned().into()),
            None => Ok(answer["data"].take()),
        }
    }
}

impl Stores {
    fn accounts(&self) -> MarketAccounts {
        MarketAccounts::new(&self.backends.sellers, &self.backends.buyers)
    }
}

fn said(problem: Problem) -> Failed {
    problem.message.into()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
