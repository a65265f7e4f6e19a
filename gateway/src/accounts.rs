//! Accounts of the market. Each database holds a part of them; an id belongs to one account across both, and the API and
//! the command line create accounts and keys under the same rules.

use backbone::accounts::{Account, Accounts, IssuedKey, Role};
use backbone::time::Timestamp;
use buyer_core::BuyerSide;
use seller_core::SellerSide;
use uuid::Uuid;

use crate::error::{Code, Problem};

/// Name of the account that all administrative keys belong to.
const ADMIN_ACCOUNT: &str = "operator";

/// Accounts of both databases.
#[derive(Clone)]
pub struct MarketAccounts {
    sellers: Accounts,
    buyers: Accounts,
}

impl MarketAccounts {
    /// Builds the accounts of a market from those of its two sides.
    pub fn new(sellers: &SellerSide, buyers: &BuyerSide) -> Self {
        Self {
            sellers: sellers.accounts().clone(),
            buyers: buyers.accounts().clone(),
        }
    }

    /// Creates an account, with a random id if none is given. Returns the existing account when its id, role and name
    /// are the same.
    ///
    /// # Errors
    /// BAD_USER_INPUT for a name that is not 1 to 200 characters, CONFLICT when the id belongs to another account.
    pub async fn create(
        &self,
        role: Role,
        name: &str,
        id: Option<Uuid>,
    ) -> Result<Account, Problem> {
        let name = checked_text("name", name)?;
        let (own, other) = match role {
            Role::Buyer => (&self.buyers, &self.sellers),
            Role::Seller | Role::Admin => (&self.sellers, &self.buyers),
        };
        let id_taken = || Problem::new(Code::Conflict, "This id belongs to another account");

        // The databases share no transaction. Two simultaneous creations of one id on both sides could still pass this
        // check; only administrators create accounts, and ids that they do not choose are random.
        if let Some(id) = id
            && other.find(id).await?.is_some()
        {
            return Err(id_taken());
        }

        // An id that exists keeps its account as it is, so what comes back may be a different one.
        let account = own.create(id, role, &name).await?;
        if account.role != role || account.name != name {
            return Err(id_taken());
        }
        Ok(account)
    }

    /// Checks that the account with this id exists and has this role.
    ///
    /// # Errors
    /// NOT_FOUND when it does not.
    pub async fn must_exist(&self, role: Role, id: Uuid) -> Result<(), Problem> {
        let accounts = if role == Role::Buyer {
            &self.buyers
        } else {
            &self.sellers
        };

        match accounts.find(id).await? {
            Some(account) if account.role == role => Ok(()),
            _ => {
                let role = role.as_str().to_ascii_lowercase();
                Err(Problem::new(
                    Code::NotFound,
                    format!("No {role} with the id {id} exists"),
                ))
            }
        }
    }

    /// Issues an API key for an account. The key itself is returned this once; only its hash is stored.
    ///
    /// # Errors
    /// BAD_USER_INPUT for a label that is not 1 to 200 characters, NOT_FOUND when the account does not exist.
    pub async fn issue(&self, account: Uuid, label: Option<&str>) -> Result<IssuedKey, Problem> {
        let label = label
            .map(|label| checked_text("label", label))
            .transpose()?;

        for accounts in [&self.sellers, &self.buyers] {
            // The id does not tell the role, and so not the database that keys of this account
            // belong to.
            if accounts.find(account).await?.is_some() {
                return Ok(accounts.issue(account, label.as_deref()).await?);
            }
        }
        Err(Problem::new(
            Code::NotFound,
            format!("No account with the id {account} exists"),
        ))
    }

    /// Issues an API key for administrators, under the one account that all such keys belong to.
    ///
    /// # Errors
    /// Those of [`MarketAccounts::issue`].
    pub async fn issue_admin(&self, label: Option<&str>) -> Result<IssuedKey, Problem> {
        // Two first calls at once may create two such accounts. That does no harm: the keys of
        // either are administrators' keys.
        let account = match self.sellers.first_of(Role::Admin).await? {
            Some(account) => account,
            None => self.create(Role::Admin, ADMIN_ACCOUNT, None).await?,
        };

        self.issue(account.id, label).await
    }

    /// Revokes an API key for good. Returns the time of its first revocation.
    ///
    /// # Errors
    /// NOT_FOUND when the key does not exist.
    pub async fn revoke(&self, key: Uuid) -> Result<Timestamp, Problem> {
        for accounts in [&self.sellers, &self.buyers] {
            // The id does not tell which database holds the key.
            if let Some(at) = accounts.revoke(key).await? {
                return Ok(at);
            }
        }

        Err(Problem::new(
            Code::NotFound,
            format!("No API key with the id {key} exists"),
        ))
    }
}

/// Checks a text that a caller gave, and trims it.
fn checked_text(path: &str, text: &str) -> Result<String, Problem> {
    let mut violations = Vec::new();
    let text = seller_core::text(text, path, &mut violations);

    if violations.is_empty() {
        Ok(text)
    } else {
        Err(Problem::inputs(violations))
    }
}
