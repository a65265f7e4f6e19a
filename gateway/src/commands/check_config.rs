//! `dealwire check-config`: prints what the settings mean, whether each store is usable, and what it guarantees.

use std::time::Duration;

use backbone::Error;
use backbone::live_bus::{BusEvent, LiveBus};
use tokio::time::timeout;

use super::output;
use super::stores::{CommandError, Stores};
use crate::app::StartError;
use crate::backends::{Backends, DataDir, DataDirError};
use crate::graphql::TrustedDocuments;
use crate::settings::{Config, Mode};

/// Time that Redis may take to confirm a subscription.
const SUBSCRIBE_TIMEOUT: Duration = Duration::from_secs(3);

/// Prints the report.
///
/// # Errors
/// A store is not usable; the message names all of them.
pub(super) async fn check(config: Config) -> Result<(), CommandError> {
    output::print(format_args!(
        "Market {}, listening on {}",
        config.market, config.listen
    ))?;
    check_documents(&config)?;
    if let Mode::Embedded { data_dir } = &config.mode {
        output::print(format_args!(
            "Embedded in {}: an acknowledged change survives kill -9 and power loss",
            data_dir.display()
        ))?;
        // Opening the stores would create the directory, and a check must not change anything.
        if !data_dir.try_exists()? {
            return output::print("The directory does not exist yet; the first start creates it");
        }
        match DataDir::lock(data_dir) {
            // Released at once, because opening the stores takes the lock again.
            Ok(free) => drop(free),
            // Success all the same: a server that runs on the directory is no fault of the
            // settings.
            Err(in_use @ DataDirError::InUse(_)) => {
                return output::print(format_args!("Cannot check the stores: {in_use}"));
            }
            Err(error) => return Err(error.into()),
        }
    }

    let stores = Stores::open(config).await?;
    let reports = describe(&stores.backends).await;
    stores.close().await?;
    print_reports(reports)
}

/// Reads the trusted documents and prints how many there are.
fn check_documents(config: &Config) -> Result<(), CommandError> {
    let files = &config.documents.trusted;
    if files.is_empty() {
        return Ok(());
    }

    let trusted = TrustedDocuments::load(files).map_err(StartError::TrustedDocuments)?;
    output::print(format_args!("{} trusted documents", trusted.count()))
}

type Report = (&'static str, Result<String, Error>);

async fn describe(backends: &Backends) -> [Report; 4] {
    [
        ("event log", backends.log.describe().await),
        ("seller database", backends.sellers.describe().await),
        ("buyer database", backends.buyers.describe().await),
        ("live bus", describe_bus(&backends.bus).await),
    ]
}

async fn describe_bus(bus: &LiveBus) -> Result<String, Error> {
    let mut receiver = bus.subscribe();

    // The link is made in the background, so only a confirmed subscription shows that the server
    // can be reached and lets this process in.
    match timeout(SUBSCRIBE_TIMEOUT, receiver.next()).await {
        Ok(BusEvent::Subscribed) => Ok(
            "subscribed; messages lost on the way are re-read from the buyer database".to_owned(),
        ),
        _ => {
            let late = || format!("no subscription within {SUBSCRIBE_TIMEOUT:?}");
            // What the server or the connection said tells a wrong password from a wrong address.
            let why = bus.trouble().unwrap_or_else(late);
            Err(Error::unavailable("live bus", why))
        }
    }
}

fn print_reports(reports: [Report; 4]) -> Result<(), CommandError> {
    let mut unusable = Vec::new();
    for (store, report) in reports {
        match report {
            Ok(description) => output::print(format_args!("{store}: {description}"))?,
            Err(error) => {
                output::print(format_args!("{store}: {error}"))?;
                unusable.push(store);
            }
        }
    }

    if unusable.is_empty() {
        Ok(())
    } else {
        Err(format!("not usable: {}", unusable.join(", ")).into())
    }
}
