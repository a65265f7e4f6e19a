//! The accounts of the market, whose tables both databases hold a part of: an id belongs to one account over both,
//! and whoever makes accounts or keys, by the API or at the terminal, keeps to the same rules.

use backbone::accounts::{Account, Accounts, IssuedKey, Role};
use backbone::time::Timestamp;
use buyer_core::BuyerSide;
use seller_core::SellerSide;
use uuid::Uuid;

use crate::error::{Code, Problem};

/// The name of the account that administrative keys belong to.
const OPERATOR: &str = "operator";

/// Both databases' accounts.
#[derive(Clone)]
pub struct MarketAccounts {
    sellers: Accounts,
    buyers: Accounts,
}

impl MarketAccounts {
    /// Of both sides.
    pub fn new(sellers: &SellerSide, buyers: &BuyerSide) -> Self {
        Self {
            sellers: sellers.accounts().clone(),
            buyers: buyers.accounts().clone(),
        }
    }

    /// Makes an account; with the id and name of one that exists, that one.
    ///
    /// # Errors
    /// BAD_USER_INPUT for a name that breaks the rules of texts, CONFLICT when the id is another account's.
    pub async fn create(
        &self,
        role: Role,
        name: &str,
        id: Option<Uuid>,
    ) -> Result<Account, Problem> {
        let name = text("name", name)?;
        let (own, other) = match role {
            Role::Buyer => (&self.buyers, &self.sellers),
            Role::Seller | Role::Admin => (&self.sellers, &self.buyers),
        };
        let taken = || Problem::new(Code::Conflict, "the id belongs to another account");
        if let Some(id) = id
            && other.find(id).await?.is_some()
        {
            return Err(taken());
        }
        let account = own.create(id, role, &name).await?;
        if account.role != role || account.name != name {
            return Err(taken());
        }
        Ok(account)
    }

    /// The account of this id, if it has this role.
    ///
    /// # Errors
    /// NOT_FOUND.
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
                    format!("there is no such {role}"),
                ))
            }
        }
    }

    /// Makes a key of an account.
    ///
    /// # Errors
    /// BAD_USER_INPUT for a label that breaks the rules of texts, NOT_FOUND when there is no such account.
    pub async fn issue(&self, account: Uuid, label: Option<&str>) -> Result<IssuedKey, Problem> {
        let label = label.map(|label| text("label", label)).transpose()?;
        for accounts in [&self.sellers, &self.buyers] {
            if accounts.find(account).await?.is_some() {
                return Ok(accounts.issue(account, label.as_deref()).await?);
            }
        }
        Err(Problem::new(Code::NotFound, "there is no such account"))
    }

    /// Makes a key for administrators, of the one account that all such keys belong to.
    ///
    /// # Errors
    /// As [`MarketAccounts::issue`].
    pub async fn issue_admin(&self, label: Option<&str>) -> Result<IssuedKey, Problem> {
        let account = match self.sellers.first_of(Role::Admin).await? {
            Some(account) => account,
            None => self.create(Role::Admin, OPERATOR, None).await?,
        };
        self.issue(account.id, label).await
    }

    /// Ends a key, once for all.
    ///
    /// # Errors
    /// NOT_FOUND when there is no such key.
    pub async fn revoke(&self, key: Uuid) -> Result<Timestamp, Problem> {
        for accounts in [&self.sellers, &self.buyers] {
            if let Some(at) = accounts.revoke(key).await? {
                return Ok(at);
            }
        }
        Err(Problem::new(Code::NotFound, "there is no such key"))
    }
}

fn text(path: &str, text: &str) -> Result<String, Problem> {
    let mut wrong = Vec::new();
    let text = seller_core::text(text, path, &mut wrong);
    if wrong.is_empty() {
        return Ok(text);
    }
    Err(Problem::inputs(wrong))
}
