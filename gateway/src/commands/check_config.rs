//! `dealwire check-config`: what the settings mean, whether what they point at is there, and what it promises.

use std::time::Duration;

use backbone::Error;
use backbone::live_bus::{BusEvent, LiveBus};
use tokio::time::timeout;

use super::{Failed, Stores};
use crate::backends::{Backends, DataDir, DataDirError};
use crate::settings::{Config, Mode};

/// Tells; fails if something is missing.
pub(super) async fn check(config: Config) -> Result<(), Failed> {
    println!("market {}, listening on {}", config.market, config.listen);
    if let Mode::Embedded { data_dir } = &config.mode {
        println!(
            "embedded in {}: an acknowledged change survives kill -9 and power loss",
            data_dir.display()
        );
        if !data_dir.try_exists()? {
            println!("the directory is not there yet; the first start makes it");
            return Ok(());
        }
        match DataDir::lock(data_dir) {
            Ok(free) => drop(free),
            Err(in_use @ DataDirError::InUse(_)) => {
                println!("{in_use}, which has the stores open");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
    let stores = Stores::open(config).await?;
    let told = describe(&stores.backends).await;
    stores.close().await?;
    let mut missing = Vec::new();
    for (store, told) in told {
        match told {
            Ok(told) => println!("{store}: {told}"),
            Err(error) => {
                println!("{store}: {error}");
                missing.push(store);
            }
        }
    }
    if missing.is_empty() {
        Ok(())
    } else {
        Err(format!("not usable: {}", missing.join(", ")).into())
    }
}

async fn describe(backends: &Backends) -> [(&'static str, Result<String, Error>); 4] {
    [
        ("event log", backends.log.describe().await),
        ("seller database", backends.sellers.describe().await),
        ("buyer database", backends.buyers.describe().await),
        ("live bus", bus(&backends.bus).await),
    ]
}

/// How long Redis may take to confirm a subscription.
const BUS: Duration = Duration::from_secs(3);

async fn bus(bus: &LiveBus) -> Result<String, Error> {
    let mut receiver = bus.subscribe();
    match timeout(BUS, receiver.next()).await {
        Ok(BusEvent::Subscribed) => {
            Ok("subscribed; losses on the way are healed from the buyer database".to_owned())
        }
        _ => Err(Error::unavailable("live bus", "no subscription")),
    }
}
