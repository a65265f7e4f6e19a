//! `dealwire admin`: accounts, keys and access, on the stores or through a running embedded server.

use backbone::accounts::Role;
use backbone::ids::{BuyerId, SellerId};
use clap::Subcommand;
use uuid::Uuid;

use super::Failed;
use super::operator::Operator;
use crate::settings::Config;

#[derive(Subcommand, Debug)]
pub(super) enum Admin {
    /// A new seller; prints its id. Again with the same id: the same seller
    CreateSeller {
        /// 1 to 200 characters
        #[arg(long)]
        name: String,
        /// A UUID; random if absent
        #[arg(long)]
        id: Option<Uuid>,
    },
    /// A new buyer; prints its id. Again with the same id: the same buyer
    CreateBuyer {
        /// 1 to 200 characters
        #[arg(long)]
        name: String,
        /// A UUID; random if absent
        #[arg(long)]
        id: Option<Uuid>,
    },
    /// A new key of an account; prints the key's id and the key, this once
    IssueKey {
        /// Whose key
        #[arg(long, required_unless_present = "role")]
        account: Option<Uuid>,
        /// `admin`: a key for administrators
        #[arg(long, value_parser = ["admin"], conflicts_with = "account")]
        role: Option<String>,
        /// To know it by
        #[arg(long)]
        label: Option<String>,
    },
    /// Ends a key
    RevokeKey {
        /// The key's id
        id: Uuid,
    },
    /// Lets a buyer see a seller's deals from now on
    Grant {
        /// Whose deals
        #[arg(long)]
        seller: Uuid,
        /// Who may see them
        #[arg(long)]
        buyer: Uuid,
    },
    /// Ends a buyer's access to a seller's deals
    Revoke {
        /// Whose deals
        #[arg(long)]
        seller: Uuid,
        /// Who may see them no longer
        #[arg(long)]
        buyer: Uuid,
    },
}

/// Runs a command.
pub(super) async fn run(config: Config, command: Admin) -> Result<(), Failed> {
    let operator = Operator::reach(config).await?;
    let told = match command {
        Admin::CreateSeller { name, id } => operator.create(Role::Seller, &name, id).await,
        Admin::CreateBuyer { name, id } => operator.create(Role::Buyer, &name, id).await,
        Admin::IssueKey { account, label, .. } => {
            operator.issue_key(account, label.as_deref()).await
        }
        Admin::RevokeKey { id } => operator.revoke_key(id).await,
        Admin::Grant { seller, buyer } => {
            operator
                .access(SellerId(seller), BuyerId(buyer), true)
                .await
        }
        Admin::Revoke { seller, buyer } => {
            operator
                .access(SellerId(seller), BuyerId(buyer), false)
                .await
        }
    };
    operator.leave().await?;
    println!("{}", told?);
    Ok(())
}
