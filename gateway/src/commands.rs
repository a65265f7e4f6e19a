//! Commands of `dealwire`. Each reads its settings, does one thing and prints the result on standard output. The log
//! goes to standard error.

mod admin;
mod check_config;
mod confirm;
mod dead_events;
mod errors_reference;
mod limits_reference;
mod log;
mod operator;
mod output;
mod progress;
mod rebuild;
mod seed;
mod serve;
mod server_file;
mod settings_reference;
mod stores;

use std::process::ExitCode;

use backbone::telemetry::init_tracing;
use clap::{Parser, Subcommand};

use crate::settings::{Config, Settings};
use output::{OUTPUT_CLOSED, OutputClosed};
use stores::{CommandError, Stores};

pub use errors_reference::errors_reference;
pub use limits_reference::limits_reference;
pub use settings_reference::settings_reference;

/// The live side of a trading platform: a GraphQL gateway whose subscriptions lose no change
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
    /// Run the server (the default): all roles in one process, or those given with --roles
    Serve,
    /// Migrate both databases to the schema of this version
    Migrate,
    /// Print the GraphQL schema
    Schema,
    /// Print docs/settings.md, the reference of all settings
    #[command(hide = true)]
    SettingsReference,
    /// Print docs/errors.md, the reference of all error codes
    #[command(hide = true)]
    ErrorsReference,
    /// Print docs/limits.md, the reference of all limits
    #[command(hide = true)]
    LimitsReference,
    /// Check the settings, connect to each server that they name, and print what it guarantees
    CheckConfig,
    /// Create an example market and print its API keys; with --demo, the demo market and its public keys
    Seed,
    /// List events that the projections cannot apply, and decide about them
    ///
    /// An embedded market's server must be stopped first.
    #[command(subcommand)]
    DeadEvents(dead_events::DeadEvents),
    /// Manage accounts, API keys and access
    #[command(subcommand)]
    Admin(admin::Admin),
    /// Read, export, import, create and reopen the event log
    #[command(subcommand)]
    Log(log::Log),
    /// Compare the tables of both sides with a replay of the log; the exit code is 1 if rows differ
    Verify(rebuild::Verify),
    /// Make the tables of a side what the log says, beside the running market
    Rebuild(rebuild::Rebuild),
}

/// Installs the TLS provider of the process. Must be called before any connection is made.
pub fn install_tls_provider() {
    // Fails if one is installed already, which happens in tests and is as good.
    let _installed = rustls::crypto::ring::default_provider().install_default();
}

/// Runs the command that `cli` names. Exit codes: 0 success, 1 failure, 2 invalid settings, 141 if the reader of standard
/// output closed it early.
pub fn run(cli: Cli) -> ExitCode {
    let command = cli.command.unwrap_or(Command::Serve);
    // These need no settings, so that they also work where none are valid.
    let page = match command {
        Command::Schema => Some(crate::graphql::sdl()),
        Command::SettingsReference => Some(settings_reference()),
        Command::ErrorsReference => Some(errors_reference()),
        Command::LimitsReference => Some(limits_reference()),
        _ => None,
    };
    if let Some(page) = page {
        return exit_code(output::print(page.trim_end()));
    }

    // `check-config` checks what a server would need. The other commands also run without it.
    let to_serve = matches!(command, Command::Serve | Command::CheckConfig);
    let config = match cli.settings.check(to_serve) {
        Ok(config) => config,
        Err(faults) => {
            for fault in faults {
                output::tell(format_args!("dealwire: {fault}"));
            }
            return ExitCode::from(2);
        }
    };

    exit_code(run_with(config, command))
}

/// Tells why a command failed, and returns its exit code.
fn exit_code(outcome: Result<(), CommandError>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<OutputClosed>() => ExitCode::from(OUTPUT_CLOSED),
        Err(error) => {
            output::tell(format_args!("dealwire: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn run_with(config: Config, command: Command) -> Result<(), CommandError> {
    init_tracing(&config.log, config.log_json)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;

    runtime.block_on(execute(command, config))
}

async fn execute(command: Command, config: Config) -> Result<(), CommandError> {
    match command {
        Command::Serve => serve::serve(config).await,
        Command::Schema
        | Command::SettingsReference
        | Command::ErrorsReference
        | Command::LimitsReference => Ok(()),
        Command::CheckConfig => check_config::check(config).await,
        Command::Migrate => migrate(config).await,
        Command::Seed => seed::seed(config).await,
        Command::DeadEvents(command) => dead_events::run(config, command).await,
        Command::Admin(command) => admin::run(config, command).await,
        Command::Log(command) => log::run(config, command).await,
        Command::Verify(options) => rebuild::verify(config, options).await,
        Command::Rebuild(options) => rebuild::rebuild(config, options).await,
    }
}

async fn migrate(config: Config) -> Result<(), CommandError> {
    let stores = Stores::open(config).await?;
    stores.migrate().await?;

    stores.close().await?;
    output::print("Both databases are up to date")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
