//! `loadgen` puts load on a running Dealwire through its public interfaces, and the same load on
//! the barest server that could do the same job. Both are measured in one run, so that a figure
//! shows what Dealwire costs rather than how busy the machine was.
//!
//! The tool is a black box: it shares no code with the server that it measures.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool reports its measurements on standard output"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "loadgen shares no code with the server, so it spawns and randomises by itself"
)]

mod accounts;
mod catalogue;
mod client;
mod compare;
mod error;
mod limit;
mod metrics;
mod process;
mod report;
mod requests;
mod scenario;
mod target;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::BoxError;
use target::Target;

/// Measures a running Dealwire under load and checks what it delivers
#[derive(Parser)]
#[command(name = "loadgen", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum Command {
    /// Creates or updates deals; the limit parses JSON and makes one acknowledged JetStream publish
    /// of the same bytes
    Mutate(scenario::mutate::Mutate),
    /// Queries the first 20 of many deals; the limit reads the same columns with sqlx, or answers
    /// Dealwire's bytes from memory
    Query(scenario::query::Query),
    /// Queries pages and single deals of tables that grow from a thousand to a million deals
    Scale(scenario::scale::Scale),
    /// Sends queries and mutations to a gateway with and without its limits, and beside hostile
    /// requests
    Guards(scenario::guards::Guards),
    /// Pushes every change to many sockets; the limit writes the same bytes to each socket from one
    /// task
    Fanout(scenario::fanout::Fanout),
    /// Pushes many changes at once to many sockets; the limit makes one write per change and socket
    Burst(scenario::burst::Burst),
    /// Pushes changes to sockets that read, alone and beside sockets that subscribe but never read
    Stalled(scenario::stalled::Stalled),
    /// Pushes one seller's changes to its few subscribers, alone and among many subscribers to
    /// other sellers
    Interest(scenario::interest::Interest),
    /// Holds subscriptions while nothing happens; the limit holds bare websockets
    Idle(scenario::idle::Idle),
    /// Resumes subscriptions from a position far behind
    Resume(scenario::resume::Resume),
    /// Delivers changes to webhook endpoints: steadily, from a backlog, and beside endpoints that
    /// hang or are dead
    Webhooks(scenario::webhooks::Webhooks),
    /// Watches a projection's metrics until it has caught up with the log, and reports its speed
    Project(scenario::project::Project),
    /// Serves as the limit; the other commands start it
    #[command(subcommand, hide = true)]
    Limit(limit::Limit),
}

fn main() -> ExitCode {
    // rustls, which the NATS client uses for TLS, needs one provider for the whole process. The
    // call fails only where one is installed already, which serves as well.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let outcome = runtime
        .map_err(BoxError::from)
        .and_then(|runtime| runtime.block_on(cli.command.run(&cli.target)));

    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("loadgen: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Command {
    async fn run(self, target: &Target) -> Result<(), BoxError> {
        match self {
            Self::Mutate(scenario) => scenario.run(target).await,
            Self::Query(scenario) => scenario.run(target).await,
            Self::Scale(scenario) => scenario.run(target).await,
            Self::Guards(scenario) => scenario.run(target).await,
            Self::Fanout(scenario) => scenario.run(target).await,
            Self::Burst(scenario) => scenario.run(target).await,
            Self::Stalled(scenario) => scenario.run(target).await,
            Self::Interest(scenario) => scenario.run(target).await,
            Self::Idle(scenario) => scenario.run(target).await,
            Self::Resume(scenario) => scenario.run(target).await,
            Self::Webhooks(scenario) => scenario.run(target).await,
            Self::Project(scenario) => scenario.run(target).await,
            Self::Limit(limit) => limit.serve().await,
        }
    }
}
