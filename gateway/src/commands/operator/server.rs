//! GraphQL client of a running embedded server.

use backbone::accounts::{KeyTerms, Role};
use backbone::ids::{BuyerId, SellerId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::listing::{ListedKey, listed_key};
use crate::accounts::NewAccount;
use crate::commands::server_file::ServerAddress;
use crate::commands::stores::CommandError;

/// Connection to a running server, with an administrator's API key.
pub(in crate::commands) struct Server {
    client: reqwest::Client,
    address: ServerAddress,
}

impl Server {
    /// Builds a client of the server at `address`.
    pub(super) fn new(address: ServerAddress) -> Result<Self, CommandError> {
        // The server is on this machine; a proxy from the environment would not reach it.
        let client = reqwest::Client::builder().no_proxy().build()?;
        Ok(Self { client, address })
    }

    /// Creates a seller or a buyer. Returns its id.
    pub(super) async fn create(
        &self,
        account: NewAccount<'_>,
        key: Option<&str>,
    ) -> Result<String, CommandError> {
        let field = if account.role == Role::Buyer {
            "createBuyer"
        } else {
            "createSeller"
        };
        let mutation = format!(
            "mutation($name: String!, $id: ID, $key: String) {{
                {field}(name: $name, id: $id, idempotencyKey: $key) {{ id }} }}"
        );

        let variables = json!({ "name": account.name, "id": account.id, "key": key });
        let data = self.execute(&mutation, variables).await?;
        Ok(text(&data[field]["id"]))
    }

    /// Issues an API key for an account, or for administrators if it is `None`. Returns the key's id and the key.
    pub(super) async fn issue_key(
        &self,
        account: Option<Uuid>,
        terms: KeyTerms<'_>,
        key: Option<&str>,
    ) -> Result<String, CommandError> {
        // All administrative keys belong to one account, which is the caller's own.
        let account = match account {
            Some(account) => account.to_string(),
            None => {
                let data = self.execute("{ viewer { id } }", json!({})).await?;
                text(&data["viewer"]["id"])
            }
        };
        let mutation = "mutation($account: ID!, $label: String, $end: DateTime, $key: String) {
            issueApiKey(accountId: $account, label: $label, expiresAt: $end, idempotencyKey: $key) { id key } }";

        let variables = json!({
            "account": account,
            "label": terms.label,
            "end": terms.expires_at,
            "key": key,
        });
        let data = self.execute(mutation, variables).await?;
        let issued = &data["issueApiKey"];
        Ok(format!("{} {}", text(&issued["id"]), text(&issued["key"])))
    }

    /// Lists the newest API keys of an account. Returns one line for each.
    pub(super) async fn list_keys(&self, account: Uuid) -> Result<String, CommandError> {
        let query = "query($account: ID!) {
            apiKeys(accountId: $account) { id label createdAt lastUsedAt expiresAt revokedAt } }";
        let data = self.execute(query, json!({ "account": account })).await?;

        let keys = data["apiKeys"].as_array().into_iter().flatten();
        let lines = keys.map(|key| {
            listed_key(ListedKey {
                id: key["id"].as_str().unwrap_or_default(),
                label: key["label"].as_str(),
                created: key["createdAt"].as_str().unwrap_or_default(),
                used: key["lastUsedAt"].as_str(),
                ends: key["expiresAt"].as_str(),
                revoked: key["revokedAt"].as_str(),
            })
        });
        Ok(lines.collect::<Vec<String>>().join("\n"))
    }

    /// Enables or disables an account.
    pub(super) async fn set_enabled(&self, id: Uuid, enabled: bool) -> Result<(), CommandError> {
        let field = if enabled {
            "enableAccount"
        } else {
            "disableAccount"
        };
        let mutation = format!("mutation($id: ID!) {{ {field}(id: $id) {{ id }} }}");

        self.execute(&mutation, json!({ "id": id })).await?;
        Ok(())
    }

    /// Revokes an API key. Returns the time of its revocation.
    pub(super) async fn revoke_key(&self, id: Uuid) -> Result<String, CommandError> {
        let mutation = "mutation($id: ID!) { revokeApiKey(id: $id) { revokedAt } }";

        let data = self.execute(mutation, json!({ "id": id })).await?;
        Ok(text(&data["revokeApiKey"]["revokedAt"]))
    }

    /// Grants or revokes a buyer's access to a seller's deals. Returns the position of the change.
    pub(super) async fn change_access(
        &self,
        seller: SellerId,
        buyer: BuyerId,
        granted: bool,
    ) -> Result<String, CommandError> {
        let field = if granted {
            "grantAccess"
        } else {
            "revokeAccess"
        };
        let mutation = format!(
            "mutation($seller: ID!, $buyer: ID!) {{
                {field}(sellerId: $seller, buyerId: $buyer) {{ position }} }}"
        );

        let data = self
            .execute(&mutation, json!({ "seller": seller, "buyer": buyer }))
            .await?;
        Ok(text(&data[field]["position"]))
    }

    /// Executes an operation. The message of the first error becomes the command's.
    async fn execute(&self, query: &str, variables: Value) -> Result<Value, CommandError> {
        let request = self
            .client
            .post(&self.address.url)
            .header("x-api-key", &self.address.key)
            .json(&json!({ "query": query, "variables": variables }));
        let mut response: Value = request.send().await?.json().await?;

        match response["errors"][0]["message"].as_str() {
            Some(message) => Err(message.to_owned().into()),
            None => Ok(response["data"].take()),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
