//! `dealwire log reopen`: goes on with a log that has lost events for good.

use std::path::Path;

use backbone::checkpoint::Checkpoint;
use backbone::clock::Clock;
use backbone::event_log::Fit;
use backbone::position::Sequence;
use backbone::projection::Projection;
use backbone::rebuild::Rebuilt;
use backbone::replay::Scratch;
use backbone::verify::SideBySide;

use crate::backends::Backends;
use crate::commands::confirm::Confirm;
use crate::commands::output;
use crate::commands::progress::Progress;
use crate::commands::rebuild::Replaying;
use crate::commands::stores::{CommandError, Stores};
use crate::settings::Config;

/// One side's tables beside the log.
struct Side {
    name: &'static str,
    checkpoint: Checkpoint,
    fit: Fit,
}

/// Gives the log a new epoch, and makes the tables of both sides what it says. `restored` says that clients have seen
/// more than the log holds, although it fits the tables.
///
/// # Errors
/// The log holds all that the tables were built from, or is that of another market; the operator does not confirm; a
/// store cannot be reached.
pub(super) async fn reopen(
    config: Config,
    restored: bool,
    confirm: Confirm,
    replaying: &Replaying,
) -> Result<(), CommandError> {
    let scratch = replaying.directory(&config)?;

    let stores = Stores::open_beside_any_log(config.clone()).await?;
    let opened = open_epoch(&stores, &config.market, restored, confirm).await;
    stores.close().await?;
    opened?;

    // Opened anew: the first handle stays one of the epoch before.
    let stores = Stores::open_beside_any_log(config).await?;
    let outcome = follow(&stores, &scratch).await;
    stores.close().await?;
    outcome
}

/// Appends the event that begins the new epoch, unless an earlier run of the command has.
async fn open_epoch(
    stores: &Stores,
    market: &str,
    restored: bool,
    confirm: Confirm,
) -> Result<(), CommandError> {
    stores.await_any_log().await?;
    let log = &stores.backends.log;
    let sides = sides(&stores.backends).await?;

    if let Some(other) = sides.iter().find(|side| side.fit == Fit::Other) {
        return Err(format!(
            "the {} tables were built from epoch {}, which this log has never had; connect to the log of this market",
            other.name, other.checkpoint.epoch.0
        )
        .into());
    }
    let fits = sides.iter().all(|side| side.fit == Fit::Fits);
    if fits && !restored {
        return Err(
            "the log holds all that the tables were built from; there is nothing to reopen".into(),
        );
    }

    confirm.ask(market, &consequences(&sides, log.head().await?))?;
    // Tables of an earlier epoch: the log was reopened before, and they have yet to follow.
    let is_reopened = sides.iter().any(|side| side.fit == Fit::Reopened);
    if !is_reopened {
        let sequence = log.reopen(&Clock::system()).await?;
        output::print(format_args!(
            "The log goes on with a new epoch from event {sequence}"
        ))?;
    }

    Ok(())
}

async fn sides(backends: &Backends) -> Result<[Side; 2], CommandError> {
    let of_sellers = backends.sellers.checkpoint().await?;
    let of_buyers = backends.buyers.checkpoint().await?;

    let side = async |name, checkpoint| -> Result<Side, CommandError> {
        Ok(Side {
            name,
            checkpoint,
            fit: backends.log.fit(name, checkpoint).await?,
        })
    };
    Ok([
        side("seller", of_sellers).await?,
        side("buyer", of_buyers).await?,
    ])
}

fn consequences(sides: &[Side], head: Sequence) -> String {
    let mut lines = vec![format!("The log ends at event {head}.")];
    for Side {
        name,
        checkpoint,
        fit,
    } in sides
    {
        let position = checkpoint.position;
        lines.push(match fit {
            Fit::Lost => format!(
                "The {name} tables were built up to event {position}, which the log no longer has as it was."
            ),
            Fit::Reopened => {
                format!("The {name} tables are at event {position} of before the log was reopened.")
            }
            Fit::Fits | Fit::Other => format!("The {name} tables are at event {position}."),
        });
    }

    lines.push(
        "If a backup of the log has the lost events, restore it instead. Otherwise:\n\
         - changes that the log has lost are lost for good, and deals and access go back to what they were before them;\n\
         - subscribers and readers who name a position are told POSITION_EXPIRED, and query again;\n\
         - receivers of webhooks keep what they were sent, and are told only of what changes from now on;\n\
         - the processes of the market end, and must be started again by you or by their supervisor."
            .to_owned(),
    );
    lines.join("\n")
}

/// Makes the tables of both sides those of the log's present epoch.
async fn follow(stores: &Stores, scratch: &Path) -> Result<(), CommandError> {
    stores.await_any_log().await?;
    let backends = &stores.backends;
    let directory = Scratch::create(scratch)?;

    for side in sides(backends).await? {
        // An earlier run of the command has done this side.
        if side.fit == Fit::Fits {
            continue;
        }

        let rebuilt = match side.name {
            "seller" => {
                let both = backends.sellers.beside_replay(&directory).await?;
                follow_with(both).await?
            }
            _ => {
                let both = backends
                    .buyers
                    .beside_replay(&backends.log, &directory)
                    .await?;
                follow_with(both).await?
            }
        };
        output::print(format_args!(
            "The {} tables are of generation {} and at event {}: the rows of {} subjects were replaced",
            side.name, rebuilt.checkpoint.generation, rebuilt.checkpoint.position, rebuilt.replaced
        ))?;
    }

    Ok(())
}

async fn follow_with<P: Projection>(mut both: SideBySide<P>) -> Result<Rebuilt, CommandError> {
    let mut progress = Progress::start("replayed", 0);
    let mut reached = |at, goal| progress.reached_of(at, goal);
    Ok(both.follow_reopened(&mut reached).await?)
}
