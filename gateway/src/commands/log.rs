//! `dealwire log`: reads, exports and imports the event log, on the store itself.

mod print;
mod transfer;

use std::path::PathBuf;

use backbone::position::Sequence;
use clap::Subcommand;

use super::output;
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
}

/// Runs a command and prints its result.
pub(super) async fn run(config: Config, command: Log) -> Result<(), CommandError> {
    // The other commands open the log, and opening may create it: an import brings the log itself.
    if let Log::Import { file } = command {
        return transfer::import(&config, &file).await;
    }

    let stores = Stores::open(config).await?;
    let outcome = execute(&stores, command).await;

    // The stores are closed in order even when the command failed, and its error is the one that counts.
    stores.close().await?;
    outcome
}

async fn execute(stores: &Stores, command: Log) -> Result<(), CommandError> {
    stores.await_log().await?;

    match command {
        Log::Tail { after, follow } => tail(stores, after, follow).await,
        Log::Show { sequence } => show(stores, sequence).await,
        Log::Export { file } => transfer::export(&stores.backends.log, &file).await,
        Log::Import { .. } => Ok(()),
    }
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
