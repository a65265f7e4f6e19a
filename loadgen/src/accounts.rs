//! Accounts beyond the demo's: made by an administrator, under ids that follow from their names, so that another run
//! finds them and the grants between them. Keys alone are new each time, since a key is shown only once.

use std::net::SocketAddr;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Http, address, in_shares};
use crate::{Failed, Target};

/// Connections to one gateway that a key may hold.
const MOST: usize = 1_000;
/// Connections that are opened with one key: the gateway may still hold those of the run before.
const PER_KEY: usize = MOST / 2;
/// Connections that accounts are made over.
const MAKERS: usize = 16;

const VIEWER: &str = "{ viewer { id } }";
const CREATE_SELLER: &str =
    "mutation($name: String!, $id: ID) { made: createSeller(name: $name, id: $id) { id } }";
const CREATE_BUYER: &str =
    "mutation($name: String!, $id: ID) { made: createBuyer(name: $name, id: $id) { id } }";
const ISSUE_KEY: &str =
    "mutation($account: ID!) { issueApiKey(accountId: $account, label: \"loadgen\") { key } }";
const GRANT: &str = "mutation($buyer: ID!, $seller: ID!) { grantAccess(buyerId: $buyer, sellerId: $seller) { granted } }";

/// Keys of buyers that sockets are spread over.
pub(crate) struct Keys(Vec<String>);

impl Keys {
    /// The key of a socket, by its number: the first [`PER_KEY`] sockets have the first.
    pub(crate) fn of(&self, socket: usize) -> &str {
        &self.0[(socket / PER_KEY).min(self.0.len() - 1)]
    }
}

/// An administrator.
pub(crate) struct Admin<'a> {
    target: &'a Target,
    key: &'a str,
    address: SocketAddr,
}

impl Target {
    /// # Errors
    /// There is no administrator's key.
    pub(crate) fn admin(&self) -> Result<Admin<'_>, Failed> {
        let key = self.admin_key.as_deref().ok_or(
            "this needs more accounts than those of --seller-key and --buyer-key, and --admin-key (DEALWIRE_ADMIN_KEY) to make them",
        )?;
        Ok(Admin {
            target: self,
            key,
            address: address(&self.url)?,
        })
    }

    /// Keys for so many sockets, of buyers who see the deals of the seller.
    ///
    /// # Errors
    /// One key cannot hold them, and nobody can make more.
    pub(crate) async fn buyers(&self, sockets: usize) -> Result<Keys, Failed> {
        if self.admin_key.is_none() && sockets <= MOST {
            return Ok(Keys(vec![self.buyer_key.clone()]));
        }
        let (admin, seller) = (self.admin()?, self.seller().await?);
        admin.buyers_of(sockets, |_| seller).await
    }

    /// Whose deals are made.
    pub(crate) async fn seller(&self) -> Result<Uuid, Failed> {
        let mut http = Http::open(address(&self.url)?).await?;
        let viewer = http
            .ask(&self.request(&self.seller_key, VIEWER, &json!({})))
            .await?;
        Ok(text(&viewer["viewer"]["id"])?.parse()?)
    }
}

impl Admin<'_> {
    /// So many sellers.
    pub(crate) async fn sellers(&self, count: usize) -> Result<Vec<Uuid>, Failed> {
        let make = async |http: &mut Http, number: usize| {
            self.account(http, CREATE_SELLER, &format!("loadgen seller {number}"))
                .await
        };
        in_shares(self.address, MAKERS, count, make).await
    }

    /// A seller of that name.
    pub(crate) async fn seller(&self, name: &str) -> Result<Uuid, Failed> {
        self.account(&mut Http::open(self.address).await?, CREATE_SELLER, name)
            .await
    }

    /// Keys of so many buyers, who are called that and a number, and see the deals of one seller.
    pub(crate) async fn buyers(
        &self,
        name: &str,
        count: usize,
        seller: Uuid,
    ) -> Result<Vec<String>, Failed> {
        let make = async |http: &mut Http, number: usize| {
            self.buyer(http, &format!("{name} {number}"), vec![seller])
                .await
        };
        in_shares(self.address, MAKERS, count, make).await
    }

    /// Keys for so many sockets, of buyers who see the deals of the sellers that their sockets want.
    pub(crate) async fn buyers_of(
        &self,
        sockets: usize,
        wanted: impl Fn(usize) -> Uuid,
    ) -> Result<Keys, Failed> {
        let make = async |http: &mut Http, number: usize| {
            let mut sellers: Vec<Uuid> = (number * PER_KEY..sockets.min((number + 1) * PER_KEY))
                .map(&wanted)
                .collect();
            sellers.dedup();
            self.buyer(http, &format!("loadgen buyer {number}"), sellers)
                .await
        };
        Ok(Keys(
            in_shares(self.address, MAKERS, sockets.div_ceil(PER_KEY).max(1), make).await?,
        ))
    }

    /// A key of an account.
    pub(crate) async fn key(&self, account: Uuid) -> Result<String, Failed> {
        self.issue_key(&mut Http::open(self.address).await?, account)
            .await
    }

    /// A key of a buyer who sees the deals of those sellers.
    async fn buyer(
        &self,
        http: &mut Http,
        name: &str,
        sellers: Vec<Uuid>,
    ) -> Result<String, Failed> {
        let buyer = self.account(http, CREATE_BUYER, name).await?;
        for seller in sellers {
            self.ask(http, GRANT, &json!({ "buyer": buyer, "seller": seller }))
                .await?;
        }
        self.issue_key(http, buyer).await
    }

    async fn issue_key(&self, http: &mut Http, account: Uuid) -> Result<String, Failed> {
        let issued = self
            .ask(http, ISSUE_KEY, &json!({ "account": account }))
            .await?;
        text(&issued["issueApiKey"]["key"]).map(str::to_owned)
    }

    async fn account(&self, http: &mut Http, mutation: &str, name: &str) -> Result<Uuid, Failed> {
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
        let made = self
            .ask(http, mutation, &json!({ "name": name, "id": id }))
            .await?;
        Ok(text(&made["made"]["id"])?.parse()?)
    }

    async fn ask(
        &self,
        http: &mut Http,
        mutation: &str,
        variables: &Value,
    ) -> Result<Value, Failed> {
        http.ask(&self.target.request(self.key, mutation, variables))
            .await
    }
}

fn text(value: &Value) -> Result<&str, Failed> {
    value
        .as_str()
        .ok_or_else(|| "an answer without what was asked for".into())
}
