//! Accounts beyond the demo market's, created by an administrator.
//!
//! The id of an account is derived from its name, so another run finds the account and its grants
//! instead of adding more. Only API keys are new in every run, since Dealwire shows a key only
//! once.

use std::net::SocketAddr;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{Http, address, run_over_connections};
use crate::error::BoxError;
use crate::target::Target;

/// Number of connections to one gateway that a key may hold.
const CONNECTIONS_PER_KEY: usize = 1_000;
/// Number of sockets opened with one key. Half the limit, because the gateway may still count those
/// of the run before.
const SOCKETS_PER_KEY: usize = CONNECTIONS_PER_KEY / 2;
/// Number of connections that accounts are created over.
const SETUP_CONNECTIONS: usize = 16;

const VIEWER: &str = "{ viewer { id } }";
const CREATE_SELLER: &str =
    "mutation($name: String!, $id: ID) { account: createSeller(name: $name, id: $id) { id } }";
const CREATE_BUYER: &str =
    "mutation($name: String!, $id: ID) { account: createBuyer(name: $name, id: $id) { id } }";
const ISSUE_KEY: &str =
    "mutation($account: ID!) { issueApiKey(accountId: $account, label: \"loadgen\") { key } }";
const GRANT: &str = "mutation($buyer: ID!, $seller: ID!) {
  grantAccess(buyerId: $buyer, sellerId: $seller) { granted } }";

/// API keys of the buyers that a scenario's sockets are spread over.
pub(crate) struct BuyerKeys(Vec<String>);

impl BuyerKeys {
    /// Returns the key for a socket, by the socket's number: each key serves [`SOCKETS_PER_KEY`]
    /// consecutive numbers.
    pub(crate) fn for_socket(&self, number: usize) -> &str {
        let last = self.0.len() - 1;
        &self.0[(number / SOCKETS_PER_KEY).min(last)]
    }
}

/// Administrator of the market under test.
pub(crate) struct Admin<'a> {
    target: &'a Target,
    key: &'a str,
    address: SocketAddr,
}

impl Target {
    /// Returns the administrator.
    ///
    /// # Errors
    /// No administrator's key was given.
    pub(crate) fn admin(&self) -> Result<Admin<'_>, BoxError> {
        let key = self.admin_key.as_deref().ok_or(
            "this scenario needs more accounts than those of --seller-key and --buyer-key; \
             pass --admin-key (or set DEALWIRE_ADMIN_KEY) to have them created",
        )?;

        Ok(Admin {
            target: self,
            key,
            address: address(&self.url)?,
        })
    }

    /// Returns keys for a number of sockets, of buyers with access to the target's seller.
    ///
    /// # Errors
    /// The target's buyer cannot hold that many connections and there is no administrator to create
    /// more buyers.
    pub(crate) async fn buyer_keys(&self, sockets: usize) -> Result<BuyerKeys, BoxError> {
        // Small scenarios work on any market, without an administrator's key.
        if self.admin_key.is_none() && sockets <= CONNECTIONS_PER_KEY {
            return Ok(BuyerKeys(vec![self.buyer_key.clone()]));
        }

        let admin = self.admin()?;
        let seller = self.seller().await?;
        admin.buyer_keys(sockets, |_| seller).await
    }

    /// Returns the id of the seller that creates and updates deals.
    pub(crate) async fn seller(&self) -> Result<Uuid, BoxError> {
        let mut http = Http::open(address(&self.url)?).await?;
        let request = self.graphql_request(&self.seller_key, VIEWER, &json!({}));
        let data = http.execute(&request).await?;

        Ok(as_text(&data["viewer"]["id"])?.parse()?)
    }
}

impl Admin<'_> {
    /// Creates numbered sellers.
    pub(crate) async fn create_sellers(&self, count: usize) -> Result<Vec<Uuid>, BoxError> {
        let create = async |http: &mut Http, number: usize| {
            let name = format!("loadgen seller {number}");
            self.create_account(http, CREATE_SELLER, &name).await
        };
        run_over_connections(self.address, SETUP_CONNECTIONS, count, create).await
    }

    /// Creates a seller with the given name.
    pub(crate) async fn create_seller(&self, name: &str) -> Result<Uuid, BoxError> {
        let mut http = Http::open(self.address).await?;
        self.create_account(&mut http, CREATE_SELLER, name).await
    }

    /// Creates buyers, named by a prefix and a number, with access to one seller. Returns their
    /// keys.
    pub(crate) async fn create_buyers(
        &self,
        prefix: &str,
        count: usize,
        seller: Uuid,
    ) -> Result<Vec<String>, BoxError> {
        let create = async |http: &mut Http, number: usize| {
            self.create_buyer(http, &format!("{prefix} {number}"), &[seller])
                .await
        };
        run_over_connections(self.address, SETUP_CONNECTIONS, count, create).await
    }

    /// Creates enough buyers for a number of sockets. Each gets access to the sellers that its
    /// sockets subscribe to; `seller_of` returns the seller for a socket's number.
    pub(crate) async fn buyer_keys(
        &self,
        sockets: usize,
        seller_of: impl Fn(usize) -> Uuid,
    ) -> Result<BuyerKeys, BoxError> {
        let create = async |http: &mut Http, number: usize| {
            let first = number * SOCKETS_PER_KEY;
            let end = sockets.min(first + SOCKETS_PER_KEY);

            // Consecutive sockets share a seller, so removing neighbours that are equal leaves each
            // seller once.
            let mut sellers: Vec<Uuid> = (first..end).map(&seller_of).collect();
            sellers.dedup();

            self.create_buyer(http, &format!("loadgen buyer {number}"), &sellers)
                .await
        };

        let count = sockets.div_ceil(SOCKETS_PER_KEY).max(1);
        let keys = run_over_connections(self.address, SETUP_CONNECTIONS, count, create).await?;
        Ok(BuyerKeys(keys))
    }

    /// Creates a buyer with access to the given sellers and to no others, and returns a key.
    pub(crate) async fn create_buyer_of(
        &self,
        name: &str,
        sellers: &[Uuid],
    ) -> Result<String, BoxError> {
        let mut http = Http::open(self.address).await?;
        self.create_buyer(&mut http, name, sellers).await
    }

    /// Issues a key for an account.
    pub(crate) async fn issue_key(&self, account: Uuid) -> Result<String, BoxError> {
        let mut http = Http::open(self.address).await?;
        self.issue_key_over(&mut http, account).await
    }

    /// Creates a buyer with access to the given sellers, and returns a key.
    async fn create_buyer(
        &self,
        http: &mut Http,
        name: &str,
        sellers: &[Uuid],
    ) -> Result<String, BoxError> {
        let buyer = self.create_account(http, CREATE_BUYER, name).await?;

        // Grants are idempotent, so those of an earlier run do no harm.
        for seller in sellers {
            let variables = json!({ "buyer": buyer, "seller": seller });
            self.execute(http, GRANT, &variables).await?;
        }

        self.issue_key_over(http, buyer).await
    }

    async fn issue_key_over(&self, http: &mut Http, account: Uuid) -> Result<String, BoxError> {
        let variables = json!({ "account": account });
        let data = self.execute(http, ISSUE_KEY, &variables).await?;
        as_text(&data["issueApiKey"]["key"]).map(str::to_owned)
    }

    /// Creates an account, or finds the one that an earlier run has created under the same name.
    async fn create_account(
        &self,
        http: &mut Http,
        mutation: &str,
        name: &str,
    ) -> Result<Uuid, BoxError> {
        // A name-based id (RFC 9562, section 5.5) is the same in every run; the server answers a
        // repeated creation with the existing account.
        let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes());
        let variables = json!({ "name": name, "id": id });
        let data = self.execute(http, mutation, &variables).await?;
        Ok(as_text(&data["account"]["id"])?.parse()?)
    }

    async fn execute(
        &self,
        http: &mut Http,
        mutation: &str,
        variables: &Value,
    ) -> Result<Value, BoxError> {
        let request = self.target.graphql_request(self.key, mutation, variables);
        http.execute(&request).await
    }
}

fn as_text(value: &Value) -> Result<&str, BoxError> {
    value
        .as_str()
        .ok_or_else(|| "the server's answer lacks a field that was selected".into())
}
