//! `dealwire serve`.

use super::output;
use super::server_file::ServerFile;
use super::stores::CommandError;
use crate::app::App;
use crate::demo;
use crate::settings::{Config, Mode};

/// Serves until SIGTERM or SIGINT, or until a task fails.
pub(super) async fn serve(config: Config) -> Result<(), CommandError> {
    let app = App::start(config).await?;
    let server_file = match &app.config().mode {
        Mode::Embedded { data_dir } => {
            Some(ServerFile::write(data_dir, app.address(), app.backends()).await?)
        }
        Mode::Production { .. } => None,
    };

    let mut greeting = greeting(&app);
    if app.holds_demo() {
        greeting += "\n";
        greeting += demo::KEYS;
    }
    // A server serves its clients whether or not anybody reads this.
    if let Err(error) = output::print(greeting) {
        tracing::info!(%error, "the address was not printed: {error}");
    }

    app.lifecycle().run_until_signal().await;
    let outcome = app.stop().await;
    // Only now: commands may still use the server while it drains.
    drop(server_file);
    Ok(outcome?)
}

/// Returns what a process that has started says about itself.
fn greeting(app: &App) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let config = app.config();
    if config.roles.gateway {
        let scheme = match config.connections.tls {
            Some(_) => "https",
            None => "http",
        };
        return format!("Dealwire {version} on {scheme}://{}/graphql", app.address());
    }

    format!(
        "Dealwire {version} with the roles {}; health and metrics on http://{}",
        config.roles,
        app.admin_address()
    )
}
