//! `dealwire log create`: begins the log of a new market.

use backbone::Error;

use crate::commands::confirm::Confirm;
use crate::commands::output;
use crate::commands::stores::{CommandError, Stores};
use crate::settings::{Config, Mode};

/// Creates the log with this number of replicas.
///
/// # Errors
/// The market is embedded; the log exists; the tables belong to another log; a store cannot be reached.
pub(super) async fn create(
    config: Config,
    replicas: u8,
    confirm: Confirm,
) -> Result<(), CommandError> {
    if let Mode::Embedded { .. } = config.mode {
        return Err(
            "an embedded market keeps its log in a file, which its first start creates".into(),
        );
    }

    let market = config.market.clone();
    let stores = Stores::open(config).await?;
    let outcome = create_on(&stores, &market, replicas, confirm).await;

    // The stores are closed in order even when the command failed, and its error is the one that counts.
    stores.close().await?;
    outcome
}

async fn create_on(
    stores: &Stores,
    market: &str,
    replicas: u8,
    confirm: Confirm,
) -> Result<(), CommandError> {
    // The log's epoch is recorded in tables, which must be there.
    stores.migrate().await?;
    stores.await_log_server().await?;
    confirm.ask(
        market,
        &format!(
            "The log of market {market} will be created with {replicas} replica(s). Every change is then acknowledged by \
             more than half of them, and their number is changed with the tools of NATS."
        ),
    )?;

    match stores.backends.log.create(replicas.into()).await {
        Ok(epoch) => {
            let described = stores.backends.log.describe().await?;
            output::print(format_args!(
                "Created the log of market {market}, epoch {}\nevent log: {described}",
                epoch.0
            ))
        }
        Err(Error::Conflict { .. }) => {
            Err(format!("the log of market {market} exists already; nothing was changed").into())
        }
        Err(error) => Err(error.into()),
    }
}
