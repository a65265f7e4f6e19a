//! `dealwire dead-events`: events that the projections cannot apply, and what an operator decides about them.

use backbone::clock::Clock;
use backbone::contract::OperatorNote;
use backbone::dead_events::{DeadEvent, Decisions};
use backbone::event_log::Record;
use backbone::position::Sequence;
use clap::{Args, Subcommand};

use super::output;
use super::stores::{CommandError, Stores};
use crate::settings::Config;

/// Number of events that are read from a database at a time.
const PAGE: u32 = 500;

#[derive(Subcommand, Debug)]
pub(super) enum DeadEvents {
    /// List the dead events of both sides, and the event that a projection waits at
    List {
        /// Also list those that have been settled
        #[arg(long)]
        all: bool,
    },
    /// Print one event of the log as it is stored
    Show {
        /// Sequence of the event
        sequence: Sequence,
    },
    /// Append the newest readable state of the event's deal or access, from which all readers go on
    Repair(Decide),
    /// Let projections that wait at an event of a newer version go on without it
    ///
    /// The event becomes dead, and so do later ones of its deal or access. A projection that has applied the event already
    /// keeps what it applied: rebuild that side afterwards.
    Skip(Decide),
    /// Give up the dead events of the event's deal or access; its next event is applied
    Discard(Decide),
}

#[derive(Args, Debug)]
pub(super) struct Decide {
    /// Sequence of the event
    sequence: Sequence,
    /// Name of the operator, kept in the log
    #[arg(long, env = "USER")]
    by: String,
    /// Reason, kept in the log
    #[arg(long)]
    why: String,
}

/// Runs a command and prints its result.
pub(super) async fn run(config: Config, command: DeadEvents) -> Result<(), CommandError> {
    let stores = Stores::open(config).await?;
    let outcome = execute(&stores, command).await;

    // The stores are closed in order even when the command failed, and its error is the one that counts.
    stores.close().await?;
    output::print(outcome?)
}

async fn execute(stores: &Stores, command: DeadEvents) -> Result<String, CommandError> {
    stores.prepare().await?;
    let decisions = Decisions::new(stores.backends.log.clone(), Clock::system());

    let (position, done) = match command {
        DeadEvents::List { all } => return list(stores, all).await,
        DeadEvents::Show { sequence } => return show(stores, sequence).await,
        DeadEvents::Repair(it) => (decisions.repair(it.sequence, it.note()?).await?, "repaired"),
        DeadEvents::Skip(it) => (decisions.skip(it.sequence, it.note()?).await?, "skipped"),
        DeadEvents::Discard(it) => (
            decisions.discard(it.sequence, it.note()?).await?,
            "discarded",
        ),
    };
    Ok(format!("{done} by event {}", position.sequence))
}

impl Decide {
    fn note(&self) -> Result<OperatorNote, CommandError> {
        OperatorNote::new(&self.by, &self.why).map_err(|faults| {
            let faults = faults.iter();
            let sentences: Vec<String> = faults
                .map(|fault| format!("--{} {}", fault.path, fault.message))
                .collect();
            sentences.join("; ").into()
        })
    }
}

async fn list(stores: &Stores, all: bool) -> Result<String, CommandError> {
    let backends = &stores.backends;
    let head = backends.log.head().await?;
    let mut lines = Vec::new();

    for (side, position) in [
        ("seller", backends.sellers.checkpoint().await?.position),
        ("buyer", backends.buyers.checkpoint().await?.position),
    ] {
        lines.push(format!("{side} tables: at event {position} of {head}"));
        let mut after = 0;
        loop {
            let page = match side {
                "seller" => backends.sellers.dead_events(after, PAGE, all).await?,
                _ => backends.buyers.dead_events(after, PAGE, all).await?,
            };
            let Some(last) = page.last() else { break };
            after = last.sequence;

            lines.extend(page.iter().map(line));
        }
    }

    Ok(lines.join("\n"))
}

fn line(dead: &DeadEvent) -> String {
    let state = if dead.settled { "settled" } else { "dead" };
    format!(
        "  {} {state} {}: {}",
        dead.sequence, dead.subject, dead.reason
    )
}

async fn show(stores: &Stores, sequence: Sequence) -> Result<String, CommandError> {
    let record = stores.backends.log.get(sequence).await?;
    let record = record.ok_or_else(|| format!("the log has no event {sequence}"))?;
    Ok(describe(&record))
}

/// Describes a record: subject, whether it can be decoded, headers and body.
fn describe(record: &Record) -> String {
    let mut lines = vec![format!("event {} of {}", record.sequence, record.subject)];
    if let Err(why) = &record.event {
        lines.push(format!("cannot be decoded: {why}"));
    }

    for (name, value) in &record.message.headers {
        lines.push(format!("{name}: {}", value.escape_debug()));
    }
    lines.push(String::new());
    lines.push(match std::str::from_utf8(&record.message.body) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("{} bytes that are not UTF-8", record.size()),
    });
    lines.join("\n")
}
