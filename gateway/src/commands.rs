//! The commands of `dealwire`. Each reads its settings, does one thing and tells on standard output what it did;
//! logs go to standard error.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "commands speak to the terminal"
)]

mod admin;
mod check_config;
mod operator;
mod seed;
mod serve;
mod settings_reference;

use std::process::ExitCode;
use std::time::Duration;

use backbone::lifecycle::Lifecycle;
use backbone::telemetry::{Metrics, init_tracing};
use clap::{Parser, Subcommand};
use tokio::time::{Instant, sleep};

use crate::backends::{Backends, DataDir, DataDirError};
use crate::settings::{Config, Mode, Settings};

pub use settings_reference::settings_reference;

/// The live side of a trading platform: a GraphQL gateway with subscriptions that lose nothing
#[derive(Parser, Debug)]
#[command(name = "dealwire", version, args_conflicts_with_subcommands = false)]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Serve (the default): all roles in one process, or those named with --roles
    Serve,
    /// Bring the databases up to this binary
    Migrate,
    /// Print the GraphQL schema
    Schema,
    /// Print docs/settings.md, the reference of all settings
    #[command(hide = true)]
    SettingsReference,
    /// Check the settings and what they point at, and tell what they promise
    CheckConfig,
    /// Make an example market with random keys and print them; with --demo, the demo market and its public keys
    Seed,
    /// Accounts, keys and access
    #[command(subcommand)]
    Admin(admin::Admin),
}

/// What went wrong, for the terminal.
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// How long a command waits for stores that are starting.
const PATIENCE: Duration = Duration::from_secs(30);

/// Installs the one provider of TLS; before anything connects.
pub fn install_tls_provider() {
    // A second call finds it installed, which is as well.
    let _installed = rustls::crypto::ring::default_provider().install_default();
}

/// Runs a command line.
pub fn run(cli: Cli) -> ExitCode {
    if let Some(Command::Schema) = cli.command {
        print!("{}", crate::graphql::sdl());
        return ExitCode::SUCCESS;
    }
    if let Some(Command::SettingsReference) = cli.command {
        print!("{}", settings_reference());
        return ExitCode::SUCCESS;
    }
    let to_serve = matches!(
        cli.command,
        None | Some(Command::Serve | Command::CheckConfig)
    );
    let config = match cli.settings.check(to_serve) {
        Ok(config) => config,
        Err(faults) => {
            for fault in faults {
                eprintln!("dealwire: {fault}");
            }
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let outcome = init_tracing(&config.log, config.log_json)
        .map_err(Failed::from)
        .and_then(|()| runtime.map_err(Failed::from))
        .and_then(|runtime| {
            runtime.block_on(execute(cli.command.unwrap_or(Command::Serve), config))
        });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("dealwire: {failed}");
            ExitCode::FAILURE
        }
    }
}

async fn execute(command: Command, config: Config) -> Result<(), Failed> {
    match command {
        Command::Serve => serve::serve(config).await,
        Command::Schema | Command::SettingsReference => Ok(()),
        Command::CheckConfig => check_config::check(config).await,
        Command::Migrate => {
            let stores = Stores::open(config).await?;
            stores.migrate().await?;
            println!("both databases are up to date");
            stores.close().await
        }
        Command::Seed => seed::seed(config).await,
        Command::Admin(command) => admin::run(config, command).await,
    }
}

/// The stores, for a command that works on them directly.
struct Stores {
    backends: Backends,
    lifecycle: Lifecycle,
    _data_dir: Option<DataDir>,
}

impl Stores {
    /// # Errors
    /// Embedded: another process holds the data directory.
    async fn open(config: Config) -> Result<Self, Failed> {
        let data_dir = match &config.mode {
            Mode::Embedded { data_dir } => {
                Some(DataDir::lock(data_dir).map_err(|error| match error {
                    in_use @ DataDirError::InUse(_) => format!("{in_use}: stop it first"),
                    other => other.to_string(),
                })?)
            }
            Mode::Production { .. } => None,
        };
        let lifecycle = Lifecycle::new();
        let backends = Backends::open(&config, &lifecycle, &Metrics::new()).await?;
        Ok(Self {
            backends,
            lifecycle,
            _data_dir: data_dir,
        })
    }

    async fn migrate(&self) -> Result<(), Failed> {
        patiently("the databases", || self.backends.migrate()).await
    }

    /// Migrates, and waits for the log.
    async fn ready(&self) -> Result<(), Failed> {
        self.migrate().await?;
        patiently("the event log", || async {
            self.backends.log.epoch().await.map(|_| ())
        })
        .await
    }

    async fn close(self) -> Result<(), Failed> {
        let Self {
            backends,
            lifecycle,
            _data_dir,
        } = self;
        drop(backends);
        lifecycle.finish(Duration::ZERO).await?;
        Ok(())
    }
}

/// Tries until it works, for as long as stores may need to start.
async fn patiently<F: Future<Output = Result<(), backbone::Error>>>(
    what: &str,
    mut attempt: impl FnMut() -> F,
) -> Result<(), Failed> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt().await {
            Err(error) if error.is_unavailable() && Instant::now() < deadline => {
                tracing::warn!(%error, "waiting for {what}: {error}");
                sleep(Duration::from_secs(1)).await;
            }
            outcome => return Ok(outcome?),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
