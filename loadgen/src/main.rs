//! `loadgen`: load on a running Dealwire over its public interfaces, and the same load on the barest server that could
//! do the job, in one run, so that a figure says what Dealwire costs and not what the machine was doing.
//!
//! A black box: it shares no code with what it measures.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool that prints what it measured"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "the doors for tasks and chance are the market's, and none of ours"
)]

mod accounts;
mod client;
mod compare;
mod limit;
mod market;
mod metrics;
mod process;
mod report;
mod scenario;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use url::Url;

/// What went wrong, for the terminal.
type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Load, limits and verification of a running Dealwire
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
    /// Creates or updates deals; the limit parses JSON and does one acknowledged JetStream publish of the same bytes
    Mutate(scenario::mutate::Mutate),
    /// The first 20 of many deals; the limit reads such a page with sqlx and writes it as JSON
    Query(scenario::query::Query),
    /// Sockets that each see every change; the limit writes the same bytes to each from one task
    Fanout(scenario::fanout::Fanout),
    /// Many changes at once to many sockets; the limit writes the same lines to each, one write a line
    Burst(scenario::burst::Burst),
    /// Changes to sockets that read, alone and beside others that subscribe and read nothing
    Stalled(scenario::stalled::Stalled),
    /// One seller's changes to the few who want them, alone and among many who want other sellers'
    Interest(scenario::interest::Interest),
    /// Sockets that hold a subscription while nothing happens; the limit holds bare websockets
    Idle(scenario::idle::Idle),
    /// Sockets that come back from a position far behind
    Resume(scenario::resume::Resume),
    /// Changes to endpoints that buyers registered, called by a dispatcher: steady, drained, beside others that hang or
    /// are dead
    Webhooks(scenario::webhooks::Webhooks),
    /// How fast a projection follows the log, watched in its metrics until it has caught up
    Project(scenario::project::Project),
    /// A bare server to compare with; started by the other commands
    #[command(subcommand, hide = true)]
    Limit(limit::Limit),
}

/// What is measured, and how.
#[derive(Args, Clone)]
struct Target {
    /// The gateway
    #[arg(long, default_value = "http://127.0.0.1:8080", global = true)]
    url: Url,
    /// Key of the seller whose deals are made
    #[arg(long, default_value = "some-secret-api-key", global = true)]
    seller_key: String,
    /// Key of a buyer with access to that seller
    #[arg(
        long,
        default_value = "90d57fe0-0fa1-4dae-a51c-917cc82bcddc",
        global = true
    )]
    buyer_key: String,
    /// Key of an administrator, who makes the buyers and sellers that a scenario needs beyond those two: a key holds
    /// 1,000 connections to a gateway
    #[arg(
        long,
        env = "DEALWIRE_ADMIN_KEY",
        hide_env_values = true,
        global = true
    )]
    admin_key: Option<String>,
    /// Where the metrics are: at the gateway's /metrics unless told otherwise
    #[arg(long, global = true)]
    metrics: Option<Url>,
    /// NATS server of the publish limit, which gets a stream of its own; without it there is no such limit
    #[arg(long, env = "DEALWIRE_NATS_URL", global = true)]
    nats: Option<String>,
    /// PostgreSQL of the page limit, which gets a table of its own; without it there is no such limit
    #[arg(long, env = "DEALWIRE_BUYER_DATABASE_URL", global = true)]
    database: Option<String>,
    /// Alternate this many runs with as many of the limit, and tell medians with their spread
    #[arg(long, default_value_t = 1, global = true)]
    compare: u32,
}

fn main() -> ExitCode {
    let _installed = rustls::crypto::ring::default_provider().install_default();
    let Cli { command, target } = Cli::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let outcome = runtime.map_err(Failed::from).and_then(|runtime| {
        runtime.block_on(async {
            match command {
                Command::Mutate(scenario) => scenario.run(&target).await,
                Command::Query(scenario) => scenario.run(&target).await,
                Command::Fanout(scenario) => scenario.run(&target).await,
                Command::Burst(scenario) => scenario.run(&target).await,
                Command::Stalled(scenario) => scenario.run(&target).await,
                Command::Interest(scenario) => scenario.run(&target).await,
                Command::Idle(scenario) => scenario.run(&target).await,
                Command::Resume(scenario) => scenario.run(&target).await,
                Command::Webhooks(scenario) => scenario.run(&target).await,
                Command::Project(scenario) => scenario.run(&target).await,
                Command::Limit(limit) => limit.serve().await,
            }
        })
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("loadgen: {failed}");
            ExitCode::FAILURE
        }
    }
}
