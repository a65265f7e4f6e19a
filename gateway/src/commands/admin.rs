//! `dealwire admin`: accounts, API keys and access, on the stores or through a running embedded server.

use backbone::accounts::{KeyTerms, Role};
use backbone::ids::{BuyerId, SellerId};
use backbone::time::Timestamp;
use clap::Subcommand;
use uuid::Uuid;

use super::operator::Operator;
use super::output;
use super::stores::CommandError;
use crate::accounts::NewAccount;
use crate::settings::Config;

#[derive(Subcommand, Debug)]
pub(super) enum Admin {
    /// Create a seller and print its id
    ///
    /// Repeating the command with the same --id and --name returns the same seller.
    CreateSeller {
        /// Name of the seller, 1 to 200 characters
        #[arg(long)]
        name: String,
        /// UUID of the seller (default: random)
        #[arg(long)]
        id: Option<Uuid>,
        /// Name of this call: repeated within 24 hours with the same one, it returns the same seller
        #[arg(long)]
        idempotency_key: Option<String>,
    },
    /// Create a buyer and print its id
    ///
    /// Repeating the command with the same --id and --name returns the same buyer.
    CreateBuyer {
        /// Name of the buyer, 1 to 200 characters
        #[arg(long)]
        name: String,
        /// UUID of the buyer (default: random)
        #[arg(long)]
        id: Option<Uuid>,
        /// Name of this call: repeated within 24 hours with the same one, it returns the same buyer
        #[arg(long)]
        idempotency_key: Option<String>,
    },
    /// Issue an API key and print its id and the key
    ///
    /// The key cannot be shown again, since only its hash is stored, except with --idempotency-key.
    IssueKey {
        /// UUID of the seller or buyer that the key is for
        #[arg(long, required_unless_present = "role")]
        account: Option<Uuid>,
        /// Issue an administrator's key instead of one for an account
        #[arg(long, value_parser = ["admin"], conflicts_with = "account")]
        role: Option<String>,
        /// Note to recognise the key by, 1 to 200 characters
        #[arg(long)]
        label: Option<String>,
        /// Time from which the key is refused, such as 2027-01-31T12:00:00Z (default: it has no end)
        #[arg(long, value_parser = parse_time)]
        expires_at: Option<Timestamp>,
        /// Name of this call: repeated within 24 hours with the same one, it prints the same key
        #[arg(long)]
        idempotency_key: Option<String>,
    },
    /// List the newest API keys of an account, at most 1,000, one on each line, without the keys themselves
    ListKeys {
        /// UUID of the account
        #[arg(long)]
        account: Uuid,
    },
    /// Disable an account: its keys and tokens are refused, and its connections end within 5 seconds
    DisableAccount {
        /// UUID of the account
        id: Uuid,
    },
    /// Enable an account that was disabled
    EnableAccount {
        /// UUID of the account
        id: Uuid,
    },
    /// Revoke an API key for good; connections opened with it end within 5 seconds
    RevokeKey {
        /// UUID of the key, as printed when it was issued
        id: Uuid,
    },
    /// Grant a buyer access to a seller's deals from now on
    Grant {
        /// UUID of the seller
        #[arg(long)]
        seller: Uuid,
        /// UUID of the buyer
        #[arg(long)]
        buyer: Uuid,
    },
    /// Revoke a buyer's access to a seller's deals
    Revoke {
        /// UUID of the seller
        #[arg(long)]
        seller: Uuid,
        /// UUID of the buyer
        #[arg(long)]
        buyer: Uuid,
    },
}

/// Runs a command and prints its result.
pub(super) async fn run(config: Config, command: Admin) -> Result<(), CommandError> {
    let operator = Operator::connect(config).await?;
    let outcome = execute(&operator, command).await;

    // The stores are closed in order even when the command failed, and its error is the one that counts.
    operator.close().await?;
    output::print(outcome?)
}

async fn execute(operator: &Operator, command: Admin) -> Result<String, CommandError> {
    match command {
        Admin::CreateSeller {
            name,
            id,
            idempotency_key,
        } => {
            let account = new_account(Role::Seller, &name, id);
            operator.create(account, idempotency_key.as_deref()).await
        }
        Admin::CreateBuyer {
            name,
            id,
            idempotency_key,
        } => {
            let account = new_account(Role::Buyer, &name, id);
            operator.create(account, idempotency_key.as_deref()).await
        }
        Admin::IssueKey {
            account,
            label,
            expires_at,
            idempotency_key,
            ..
        } => {
            let terms = KeyTerms {
                label: label.as_deref(),
                expires_at,
            };
            let key = idempotency_key.as_deref();
            operator.issue_key(account, terms, key).await
        }
        Admin::ListKeys { account } => operator.list_keys(account).await,
        Admin::DisableAccount { id } => operator.set_enabled(id, false).await,
        Admin::EnableAccount { id } => operator.set_enabled(id, true).await,
        Admin::RevokeKey { id } => operator.revoke_key(id).await,
        Admin::Grant { seller, buyer } => {
            operator
                .change_access(SellerId(seller), BuyerId(buyer), true)
                .await
        }
        Admin::Revoke { seller, buyer } => {
            operator
                .change_access(SellerId(seller), BuyerId(buyer), false)
                .await
        }
    }
}

fn new_account(role: Role, name: &str, id: Option<Uuid>) -> NewAccount<'_> {
    NewAccount { role, name, id }
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text)
        .ok_or_else(|| "must be an RFC 3339 date and time, such as 2027-01-31T12:00:00Z".to_owned())
}
