//! `dealwire seed`: creates an example market with random API keys, or the demo.

use super::output;
use super::stores::{CommandError, Stores};
use crate::demo;
use crate::settings::{Config, Demo};

/// Creates the example data and prints its API keys. A second run changes nothing.
pub(super) async fn seed(config: Config) -> Result<(), CommandError> {
    let with_public_keys = config.demo == Demo::Anywhere;
    let stores = Stores::open(config).await?;
    // The example may be the first that is ever written to these databases.
    stores.prepare().await?;

    let lines = if with_public_keys {
        demo::complete(&stores.backends).await?;
        vec![demo::KEYS.to_owned()]
    } else {
        demo::complete_example(&stores.backends).await?
    };

    stores.close().await?;
    output::print(lines.join("\n"))
}
