//! `dealwire log`: reads, exports, imports, creates and reopens the event log, on the store itself.

mod create;
mod print;
mod reopen;
mod transfer;

use std::path::PathBuf;

use backbone::position::Sequence;
use clap::Subcommand;

use super::confirm::Confirm;
use super::output;
use super::rebuild::Replaying;
use super::stores::{CommandError, Stores};
use crate::settings::Config;

/// Number of events that `tail` prints unless it is told where to begin.
const LAST_EVENTS: u64 = 10;

/// Most events that are read at a time.
const BATCH: u64 = 1_000;

#[derive(Subcommand, Debug)]
pub(super) enum Log {
    /// Print events, one a line: sequence, time, type, subject, revision and id
    Tail {
        /// Begin after this sequence (default: the last 10 events)
        #[arg(long, value_name = "SEQUENCE")]
        after: Option<Sequence>,
        /// Wait for new events and print them as they come, until the command is stopped
        #[arg(long)]
        follow: bool,
    },
    /// Print one event with its headers and its body, also one that cannot be decoded
    Show {
        /// Sequence of the event
        sequence: Sequence,
    },
    /// Write every event up to the present head as JSON lines
    ///
    /// The first line names the market, its epoch and the number of events. Events that are written meanwhile are left
    /// out.
    Export {
        /// File to write, which must not exist, or - for standard output
        #[arg(default_value = "-")]
        file: PathBuf,
    },
    /// Write an exported log into a market that has none
    ///
    /// The file is checked first, and refused as a whole unless it holds every event from sequence 1 on. The log keeps
    /// its epoch, so that positions which clients have stored stay valid. If it fails midway, the same command goes on
    /// where it stopped.
    Import {
        /// File that `dealwire log export` has written
        file: PathBuf,
    },
    /// Create the log of a new market on NATS, with several replicas
    ///
    /// A log that nobody has created begins, with one replica, when the market's first process starts. It is refused beside
    /// tables that were built from a log: import or restore that one.
    Create {
        /// Number of servers that keep the log; more than one needs nats-server 2.11 or newer on all of them
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u8).range(1..=5))]
        replicas: u8,
        #[command(flatten)]
        confirm: Confirm,
    },
    /// Go on with a log that has lost events for good, and make the tables what it says
    ///
    /// Refused while the log holds all that the tables were built from, unless --restored says that clients have seen
    /// more. The lost changes are gone: deals and access are as they were before them. Every position that a client holds
    /// is answered with POSITION_EXPIRED, and every process of the market ends, to be started again. If it fails midway,
    /// the same command goes on where it stopped.
    Reopen {
        /// Reopen the log although it fits the tables: both were restored from backups older than what clients have seen
        #[arg(long)]
        restored: bool,
        #[command(flatten)]
        confirm: Confirm,
        #[command(flatten)]
        replaying: Replaying,
    },
}

/// Runs a command and prints its result.
pub(super) async fn run(config: Config, command: Log) -> Result<(), CommandError> {
    match command {
        Log::Import { file } => transfer::import(&config, &file).await,
        Log::Create { replicas, confirm } => create::create(config, replicas, confirm).await,
        Log::Reopen {
            restored,
            confirm,
            replaying,
        } => reopen::reopen(config, restored, confirm, &replaying).await,
        Log::Tail { after, follow } => {
            with_log(config, async |stores| tail(stores, after, follow).await).await
        }
        Log::Show { sequence } => {
            with_log(config, async |stores| show(stores, sequence).await).await
        }
        Log::Export { file } => {
            with_log(config, async |stores| {
                transfer::export(&stores.backends.log, &file).await
            })
            .await
        }
    }
}

/// Opens the stores and runs `read` on them once the log is there.
async fn with_log(
    config: Config,
    read: impl AsyncFnOnce(&Stores) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let stores = Stores::open(config).await?;
    let outcome = match stores.await_log().await {
        Ok(()) => read(&stores).await,
        Err(error) => Err(error),
    };

    // The stores are closed in order even when the command failed, and its error is the one that counts.
    stores.close().await?;
    outcome
}

async fn tail(stores: &Stores, after: Option<Sequence>, follow: bool) -> Result<(), CommandError> {
    let log = &stores.backends.log;
    let head = log.head().await?;
    let after = after.unwrap_or(head.saturating_sub(LAST_EVENTS));
    if after > head {
        return Err(format!("--after {after} is beyond the log's head, {head}").into());
    }

    let mut tail = log.tail(after).await?;
    let mut last = after;
    while follow || last < head {
        let wanted = if follow {
            BATCH
        } else {
            BATCH.min(head - last)
        };

        for record in tail.batch(wanted as usize).await? {
            last = record.sequence;
            output::print(print::summary(&record))?;
        }
    }

    Ok(())
}

async fn show(stores: &Stores, sequence: Sequence) -> Result<(), CommandError> {
    let log = &stores.backends.log;
    match log.get(sequence).await? {
        Some(record) => output::print(print::details(&record)),
        None => {
            let head = log.head().await?;
            Err(format!("the log has no event {sequence}; its head is {head}").into())
        }
    }
}
