//! `dealwire seed`: an example market with random keys, or the demo.

use super::{Failed, Stores};
use crate::demo;
use crate::settings::{Config, Demo};

/// Fills the market. A second time changes nothing.
pub(super) async fn seed(config: Config) -> Result<(), Failed> {
    let public = config.demo == Demo::Anywhere;
    let stores = Stores::open(config).await?;
    stores.ready().await?;
    if public {
        demo::complete(&stores.backends).await?;
        println!("{}", demo::KEYS);
    } else {
        for line in demo::example(&stores.backends).await? {
            println!("{line}");
        }
    }
    stores.close().await
}
