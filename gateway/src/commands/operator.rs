//! How administrative commands reach the market: on the stores themselves, or, when a running embedded server holds
//! the data directory, through that server's API with the key it left there.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use backbone::accounts::{Accounts, Role};
use backbone::ids::{BuyerId, SellerId};
use seller_core::Asked;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Failed, Stores};
use crate::backends::{DataDir, DataDirError};
use crate::settings::{Config, Mode};

/// The name of the account that administrative keys belong to.
const OPERATOR: &str = "operator";

/// Where commands go.
pub(super) enum Operator {
    Stores(Box<Stores>),
    Server(Server),
}

/// A running server and a key of it.
#[derive(Serialize, Deserialize)]
pub(super) struct Server {
    url: String,
    key: String,
}

/// The file by which commands find the running server; removed when it ends.
pub(super) struct ServerFile(PathBuf);

impl ServerFile {
    /// Leaves the server's address and an administrative key in the data directory, readable by its owner alone.
    pub(super) async fn write(
        data_dir: &Path,
        address: SocketAddr,
        accounts: &Accounts,
    ) -> Result<Self, Failed> {
        let path = data_dir.join("server.json");
        let known: Option<Server> =
            std::fs::read(&path).ok().and_then(|file| serde_json::from_slice(&file).ok());
        let key = match known {
            // A server that was killed has left it; the key is as good as it was.
            Some(Server { key, .. }) => key,
            None => issue_admin(accounts, Some("server.json")).await?.1,
        };
        let ip = if address.ip().is_unspecified() { [127, 0, 0, 1].into() } else { address.ip() };
        let url = format!("http://{}/graphql", SocketAddr::new(ip, address.port()));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(&serde_json::to_vec(&Server { url, key })?)?;
        Ok(Self(path))
    }
}

impl Drop for ServerFile {
    fn drop(&mut self) {
        // One that stays behind is overwritten by the next server; commands find nobody there until then.
        let _gone = std::fs::remove_file(&self.0);
    }
}

impl Operator {
    pub(super) async fn reach(config: Config) -> Result<Self, Failed> {
        if let Mode::Embedded { data_dir } = &config.mode {
            match DataDir::lock(data_dir) {
                // Given back at once: opening the stores takes it again.
                Ok(free) => drop(free),
                Err(DataDirError::InUse(_)) => {
                    let file = std::fs::read(data_dir.join("server.json"))
                        .map_err(|_| "a server holds the data directory but is not ready yet")?;
                    return Ok(Self::Server(serde_json::from_slice(&file)?));
                }
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

    pub(super) async fn create(&self, role: Role, name: &str, id: Option<Uuid>) -> Result<String, Failed> {
        match self {
            Self::Server(server) => {
                let field = if role == Role::Buyer { "createBuyer" } else { "createSeller" };
                let mutation =
                    format!("mutation($name: String!, $id: ID) {{ {field}(name: $name, id: $id) {{ id }} }}");
                let data = server.ask(&mutation, json!({ "name": name, "id": id })).await?;
                Ok(text(&data[field]["id"]))
            }
            Self::Stores(stores) => {
                let mut wrong = Vec::new();
                let name = seller_core::text(name, "name", &mut wrong);
                if let Some(wrong) = wrong.first() {
                    return Err(format!("{} {}", wrong.path, wrong.message).into());
                }
                let account = stores.accounts(role).create(id, role, &name).await?;
                if account.role != role || account.name != name {
                    return Err("the id belongs to another account".into());
                }
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
                    None => text(&server.ask("{ viewer { id } }", json!({})).await?["viewer"]["id"]),
                };
                let mutation = "mutation($account: ID!, $label: String) {
                    issueApiKey(accountId: $account, label: $label) { id key } }";
                let data = server.ask(mutation, json!({ "account": account, "label": label })).await?;
                let issued = &data["issueApiKey"];
                Ok(format!("{} {}", text(&issued["id"]), text(&issued["key"])))
            }
            Self::Stores(stores) => {
                let (id, key) = match account {
                    None => issue_admin(stores.accounts(Role::Admin), label).await?,
                    Some(account) => stores.issue(account, label).await?,
                };
                Ok(format!("{id} {key}"))
            }
        }
    }

    pub(super) async fn revoke_key(&self, id: Uuid) -> Result<String, Failed> {
        let revoked = match self {
            Self::Server(server) => {
                let mutation = "mutation($id: ID!) { revokeApiKey(id: $id) { revokedAt } }";
                let data = server.ask(mutation, json!({ "id": id })).await?;
                Some(text(&data["revokeApiKey"]["revokedAt"]))
            }
            Self::Stores(stores) => {
                let of_seller = stores.accounts(Role::Seller).revoke(id).await?;
                let revoked = match of_seller {
                    Some(at) => Some(at),
                    None => stores.accounts(Role::Buyer).revoke(id).await?,
                };
                revoked.map(|at| at.to_string())
            }
        };
        Ok(format!("revoked at {}", revoked.ok_or("there is no such key")?))
    }

    pub(super) async fn access(
        &self,
        seller: SellerId,
        buyer: BuyerId,
        granted: bool,
    ) -> Result<String, Failed> {
        match self {
            Self::Server(server) => {
                let field = if granted { "grantAccess" } else { "revokeAccess" };
                let mutation = format!(
                    "mutation($seller: ID!, $buyer: ID!) {{
                        {field}(sellerId: $seller, buyerId: $buyer) {{ position }} }}"
                );
                let data = server.ask(&mutation, json!({ "seller": seller, "buyer": buyer })).await?;
                Ok(format!("at position {}", text(&data[field]["position"])))
            }
            Self::Stores(stores) => {
                stores.must_exist(Role::Seller, seller.0).await?;
                stores.must_exist(Role::Buyer, buyer.0).await?;
                let sellers = &stores.backends.sellers;
                let asked = Asked { key: None, trace: None };
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
    fn accounts(&self, role: Role) -> &Accounts {
        match role {
            Role::Buyer => self.backends.buyers.accounts(),
            Role::Seller | Role::Admin => self.backends.sellers.accounts(),
        }
    }

    async fn must_exist(&self, role: Role, id: Uuid) -> Result<(), Failed> {
        match self.accounts(role).find(id).await? {
            Some(account) if account.role == role => Ok(()),
            _ => Err(format!("there is no {} {id}", role.as_str().to_ascii_lowercase()).into()),
        }
    }

    async fn issue(&self, account: Uuid, label: Option<&str>) -> Result<(Uuid, String), Failed> {
        for accounts in [self.accounts(Role::Seller), self.accounts(Role::Buyer)] {
            if accounts.find(account).await?.is_some() {
                let issued = accounts.issue(account, label).await?;
                return Ok((issued.id, issued.key));
            }
        }
        Err(format!("there is no account {account}").into())
    }
}

/// A key for administrators, of the one account that all such keys belong to.
async fn issue_admin(accounts: &Accounts, label: Option<&str>) -> Result<(Uuid, String), Failed> {
    let account = match accounts.first_of(Role::Admin).await? {
        Some(account) => account,
        None => accounts.create(None, Role::Admin, OPERATOR).await?,
    };
    let issued = accounts.issue(account.id, label).await?;
    Ok((issued.id, issued.key))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
