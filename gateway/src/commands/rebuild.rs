//! `dealwire verify` and `dealwire rebuild`: the tables against the log.

use std::path::{Path, PathBuf};

use backbone::position::Sequence;
use backbone::projection::Projection;
use backbone::rebuild::Rebuilt;
use backbone::replay::Scratch;
use backbone::verify::{Finding, SideBySide};
use clap::{Args, ValueEnum};

use super::output;
use super::progress::Progress;
use super::stores::{CommandError, Stores};
use crate::settings::{Config, Mode};

/// Options of both commands.
#[derive(Args, Debug)]
pub(super) struct Replaying {
    /// Directory for the replay, which takes as much room as the tables (default: the data directory, or the system's
    /// directory for temporary files)
    #[arg(long, value_name = "DIRECTORY")]
    scratch: Option<PathBuf>,
}

/// Options of `verify`.
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// Print at most this many differences of a side; all are counted
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    show: u64,
    #[command(flatten)]
    replaying: Replaying,
}

/// Options of `rebuild`.
#[derive(Args, Debug)]
pub(super) struct Rebuild {
    /// Side whose tables are built anew
    side: Side,
    #[command(flatten)]
    replaying: Replaying,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Side {
    Seller,
    Buyer,
}

/// Compares the tables of both sides with the log, and prints what differs.
///
/// # Errors
/// Rows differ; a store cannot be read.
pub(super) async fn verify(config: Config, options: Verify) -> Result<(), CommandError> {
    let scratch = options.replaying.directory(&config)?;
    let stores = Stores::open(config).await?;
    let outcome = verify_both(&stores, &scratch, options.show).await;

    // The stores are closed in order even when the command failed, and its error is the one that counts.
    stores.close().await?;
    match outcome? {
        0 => Ok(()),
        differences => Err(format!(
            "{differences} rows differ from the log; `dealwire rebuild` repairs the tables of a side"
        )
        .into()),
    }
}

async fn verify_both(stores: &Stores, scratch: &Path, show: u64) -> Result<u64, CommandError> {
    stores.await_log().await?;
    let backends = &stores.backends;

    let directory = Scratch::create(scratch)?;
    let mut sellers = backends.sellers.beside_replay(&directory).await?;
    let of_sellers = verify_side("seller", &mut sellers, show).await?;

    let mut buyers = backends
        .buyers
        .beside_replay(&backends.log, &directory)
        .await?;
    let of_buyers = verify_side("buyer", &mut buyers, show).await?;
    Ok(of_sellers + of_buyers)
}

async fn verify_side<P: Projection>(
    side: &str,
    both: &mut SideBySide<P>,
    show: u64,
) -> Result<u64, CommandError> {
    let mut shown = 0;
    let mut printed = Ok(());
    let mut found = |finding: Finding| {
        if shown < show && printed.is_ok() {
            printed = output::print(format_args!("{side} {finding}"));
        }
        shown += 1;
    };

    let mut progress = Progress::start("replayed", 0);
    let verified = both
        .verify(&mut |at, goal| progress.reached_of(at, goal), &mut found)
        .await?;

    printed?;
    let hidden = shown.saturating_sub(show);
    if hidden > 0 {
        output::print(format_args!("{side}: {hidden} more differences"))?;
    }
    output::print(format_args!(
        "{side} tables at sequence {}, generation {}: {} rows compared, {} differ",
        verified.checkpoint.position,
        verified.checkpoint.generation,
        verified.rows,
        verified.differences
    ))?;
    Ok(verified.differences)
}

/// Builds the tables of a side anew.
///
/// # Errors
/// A store cannot be read or written; the tables are not of this log.
pub(super) async fn rebuild(config: Config, options: Rebuild) -> Result<(), CommandError> {
    let scratch = options.replaying.directory(&config)?;
    let stores = Stores::open(config).await?;
    let outcome = rebuild_side(&stores, &scratch, options.side).await;

    stores.close().await?;
    output::print(told(options.side, outcome?))
}

async fn rebuild_side(
    stores: &Stores,
    scratch: &Path,
    side: Side,
) -> Result<Rebuilt, CommandError> {
    stores.await_log().await?;
    let backends = &stores.backends;
    let directory = Scratch::create(scratch)?;

    let mut progress = Progress::start("replayed", 0);
    let mut reached = |at: Sequence, goal: Sequence| progress.reached_of(at, goal);
    let rebuilt = match side {
        Side::Seller => {
            let mut both = backends.sellers.beside_replay(&directory).await?;
            both.rebuild(&mut reached).await?
        }
        Side::Buyer => {
            let mut both = backends
                .buyers
                .beside_replay(&backends.log, &directory)
                .await?;
            both.rebuild(&mut reached).await?
        }
    };

    Ok(rebuilt)
}

fn told(side: Side, rebuilt: Rebuilt) -> String {
    let side = match side {
        Side::Seller => "seller",
        Side::Buyer => "buyer",
    };
    let feed = if rebuilt.is_feed_cut {
        "; the feed lacked changes or had wrong ones, so clients that resume from an earlier position get POSITION_EXPIRED"
    } else {
        ""
    };

    format!(
        "The {side} tables are generation {} as of sequence {}: the rows of {} subjects were replaced{feed}",
        rebuilt.checkpoint.generation, rebuilt.checkpoint.position, rebuilt.replaced
    )
}

impl Replaying {
    /// Returns the directory in which the replay makes its own.
    pub(super) fn directory(&self, config: &Config) -> Result<PathBuf, CommandError> {
        let directory = match (&self.scratch, &config.mode) {
            (Some(directory), _) => directory.clone(),
            (None, Mode::Embedded { data_dir }) => data_dir.clone(),
            (None, Mode::Production { .. }) => std::env::temp_dir(),
        };

        if directory.is_dir() {
            Ok(directory)
        } else {
            Err(format!("{} is not a directory", directory.display()).into())
        }
    }
}
