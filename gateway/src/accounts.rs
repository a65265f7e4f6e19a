//! Accounts of the market. Each database holds a part of them; an id belongs to one account across both, and the API and
//! the command line create accounts and keys under the same rules.

mod calls;
mod retention;

use backbone::accounts::{
    Account, Accounts, ApiKey, IssuedKey, KeptCall, KeyBytes, KeyTerms, NewKey, Role,
};
use backbone::time::Timestamp;
use buyer_core::BuyerSide;
use seller_core::SellerSide;
use uuid::Uuid;
use webhooks::seal::SealKey;

use crate::error::{Code, Problem};
use calls::Arguments;

pub use calls::IdempotencyKey;
pub use retention::run as run_retention;

/// Name of the account that all administrative keys belong to.
const ADMIN_ACCOUNT: &str = "operator";

/// Accounts of both databases.
#[derive(Clone)]
pub struct MarketAccounts {
    sellers: Accounts,
    buyers: Accounts,
    /// Encrypts the keys that a repeated call shows again; `None` in a command that was not given it.
    seal: Option<SealKey>,
}

/// An account to be created.
#[derive(Clone, Copy, Debug)]
pub struct NewAccount<'a> {
    /// Role of the account.
    pub role: Role,
    /// Name, 1 to 200 characters.
    pub name: &'a str,
    /// Id; random if it is not given.
    pub id: Option<Uuid>,
}

impl MarketAccounts {
    /// Builds the accounts of a market from those of its two sides. `seal` encrypts the keys that a repeated call shows
    /// again.
    pub fn new(sellers: &SellerSide, buyers: &BuyerSide, seal: Option<SealKey>) -> Self {
        Self {
            sellers: sellers.accounts().clone(),
            buyers: buyers.accounts().clone(),
            seal,
        }
    }

    /// Creates an account, with a random id if none is given. Returns the existing account when its id, role and name
    /// are the same, or when the call repeats one with the same idempotency key within 24 hours.
    ///
    /// # Errors
    /// BAD_USER_INPUT for a name that is not 1 to 200 characters, CONFLICT when the id belongs to another account,
    /// IDEMPOTENCY_KEY_REUSED when the idempotency key was used with other arguments.
    pub async fn create(
        &self,
        account: NewAccount<'_>,
        key: Option<IdempotencyKey>,
    ) -> Result<Account, Problem> {
        let NewAccount { role, name, id } = account;
        let name = checked_text("name", name)?;

        let id = match key {
            None => id,
            Some(key) => {
                let arguments = Arguments::of_account(role, &name, id);
                let call = arguments.call(id.unwrap_or_else(|| self.sellers.new_id()), None);
                let kept = self.sellers.keep_call(arguments.name(&key), call).await?;
                Some(arguments.check(kept)?.result_id)
            }
        };
        self.create_under(role, &name, id).await
    }

    async fn create_under(
        &self,
        role: Role,
        name: &str,
        id: Option<Uuid>,
    ) -> Result<Account, Problem> {
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
        let account = own.create(id, role, name).await?;
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

    /// Issues an API key for an account. The key itself is returned this once, and to calls that repeat this one with the
    /// same idempotency key within 24 hours; only its hash is stored for longer.
    ///
    /// # Errors
    /// BAD_USER_INPUT for a label that is not 1 to 200 characters and for an end that is over, NOT_FOUND when the account
    /// does not exist, IDEMPOTENCY_KEY_REUSED when the idempotency key was used with other arguments.
    pub async fn issue(
        &self,
        account: Uuid,
        terms: KeyTerms<'_>,
        key: Option<IdempotencyKey>,
    ) -> Result<IssuedKey, Problem> {
        let label = terms
            .label
            .map(|label| checked_text("label", label))
            .transpose()?;
        let terms = KeyTerms {
            label: label.as_deref(),
            ..terms
        };
        let accounts = self.accounts_of(account).await?;

        let Some(key) = key else {
            self.check_end(terms)?;
            return Ok(accounts.issue_on(account, terms).await?);
        };
        let (id, bytes) = self.decide_key(account, terms, &key).await?;
        let issued = accounts.put_key(NewKey {
            id,
            account_id: account,
            bytes,
            terms,
        });
        Ok(issued.await?)
    }

    /// Decides on id and text of a key, or returns what the first call with this idempotency key has decided.
    async fn decide_key(
        &self,
        account: Uuid,
        terms: KeyTerms<'_>,
        key: &IdempotencyKey,
    ) -> Result<(Uuid, KeyBytes), Problem> {
        let Some(seal) = &self.seal else {
            return Err(Problem::input(
                "idempotencyKey",
                "requires DEALWIRE_WEBHOOK_SECRETS_KEY, with which the key is kept encrypted",
            ));
        };
        let arguments = Arguments::of_key(account, terms);
        let name = arguments.name(key);

        let kept = match self.sellers.kept_call(name).await? {
            Some(kept) => kept,
            None => {
                // Only of the first call: its repeats are answered alike, even if the key has ended since.
                self.check_end(terms)?;
                let id = self.sellers.new_id();
                let sealed = seal.seal_bytes(id, &KeyBytes::generate().0);
                let call = arguments.call(id, Some(sealed));
                self.sellers.keep_call(name, call).await?
            }
        };

        let KeptCall {
            result_id, sealed, ..
        } = arguments.check(kept)?;
        let sealed = sealed.unwrap_or_default();
        let bytes = seal.open_bytes("kept API key", result_id, &sealed)?;
        Ok((result_id, KeyBytes(bytes)))
    }

    fn check_end(&self, terms: KeyTerms<'_>) -> Result<(), Problem> {
        match terms.expires_at {
            Some(end) if end <= self.sellers.now() => {
                Err(Problem::input("expiresAt", "must be in the future"))
            }
            _ => Ok(()),
        }
    }

    /// Issues an API key for administrators, under the one account that all such keys belong to.
    ///
    /// # Errors
    /// Those of [`MarketAccounts::issue`].
    pub async fn issue_admin(
        &self,
        terms: KeyTerms<'_>,
        key: Option<&str>,
    ) -> Result<IssuedKey, Problem> {
        let operator = self.operator().await?;
        let key = key
            .map(|key| IdempotencyKey::new(operator.id, key))
            .transpose()?;

        self.issue(operator.id, terms, key).await
    }

    /// Returns the account that keys of administrators are issued for, and creates it at first.
    ///
    /// # Errors
    /// UNAVAILABLE when the database does not answer.
    pub async fn operator(&self) -> Result<Account, Problem> {
        // Two first calls at once may create two such accounts. That does no harm: the keys of
        // either are administrators' keys.
        match self.sellers.first_of(Role::Admin).await? {
            Some(account) if account.disabled_at.is_none() => Ok(account),
            _ => self.create_under(Role::Admin, ADMIN_ACCOUNT, None).await,
        }
    }

    /// Reads the newest keys of an account, at most 1,000, newest first.
    ///
    /// # Errors
    /// NOT_FOUND when the account does not exist.
    pub async fn keys(&self, account: Uuid) -> Result<Vec<ApiKey>, Problem> {
        let accounts = self.accounts_of(account).await?;

        Ok(accounts.keys_of(account).await?)
    }

    /// Disables an account: its keys and tokens are refused until it is enabled.
    ///
    /// # Errors
    /// NOT_FOUND when the account does not exist.
    pub async fn disable(&self, account: Uuid) -> Result<Account, Problem> {
        let disabled = self.accounts_of(account).await?.disable(account).await?;

        disabled.ok_or_else(|| no_account(account))
    }

    /// Enables an account, whose keys and tokens are then as good as before.
    ///
    /// # Errors
    /// NOT_FOUND when the account does not exist.
    pub async fn enable(&self, account: Uuid) -> Result<Account, Problem> {
        let enabled = self.accounts_of(account).await?.enable(account).await?;

        enabled.ok_or_else(|| no_account(account))
    }

    /// Returns the accounts of the database that holds an account: its id does not tell the role.
    async fn accounts_of(&self, account: Uuid) -> Result<&Accounts, Problem> {
        for accounts in [&self.sellers, &self.buyers] {
            if accounts.find(account).await?.is_some() {
                return Ok(accounts);
            }
        }

        Err(no_account(account))
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

fn no_account(id: Uuid) -> Problem {
    Problem::new(
        Code::NotFound,
        format!("No account with the id {id} exists"),
    )
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
