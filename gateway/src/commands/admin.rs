//! `dealwire admin`: accounts, API keys and access, on the stores or through a running embedded server.

use backbone::accounts::Role;
use backbone::ids::{BuyerId, SellerId};
use clap::Subcommand;
use uuid::Uuid;

use super::operator::Operator;
use super::output;
use super::stores::CommandError;
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
    },
    /// Issue an API key and print its id and the key
    ///
    /// The key cannot be shown again: only its hash is stored.
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
        Admin::CreateSeller { name, id } => operator.create(Role::Seller, &name, id).await,
        Admin::CreateBuyer { name, id } => operator.create(Role::Buyer, &name, id).await,
        Admin::IssueKey { account, label, .. } => {
            operator.issue_key(account, label.as_deref()).await
        }
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
