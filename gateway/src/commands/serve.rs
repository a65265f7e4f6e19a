//! `dealwire serve`.

use super::Failed;
use super::operator::ServerFile;
use crate::app::App;
use crate::demo;
use crate::settings::{Config, Mode};

/// Serves until told to stop.
pub(super) async fn serve(config: Config) -> Result<(), Failed> {
    let app = App::start(config).await?;
    let server_file = match &app.config().mode {
        Mode::Embedded { data_dir } => {
            Some(ServerFile::write(data_dir, app.address(), app.backends()).await?)
        }
        Mode::Production { .. } => None,
    };
    println!(
        "Dealwire {} on http://{}/graphql",
        env!("CARGO_PKG_VERSION"),
        app.address()
    );
    if app.holds_demo() {
        println!("{}", demo::KEYS);
    }
    app.lifecycle().run_until_signal().await;
    let outcome = app.stop().await;
    drop(server_file);
    Ok(outcome?)
}
