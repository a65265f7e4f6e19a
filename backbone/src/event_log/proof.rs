//! The proof that a log is the one that this market's tables were built from. Writers need it before
//! their first append: what is acknowledged on any other log would never be seen.

use tokio::sync::OnceCell;

use super::EventLog;
use crate::Error;
use crate::checkpoint::{Checkpoint, Tables};
use crate::position::Epoch;

/// Number of replicas of a log that begins with its first writer. An operator who wants more creates
/// the log beforehand: see [`EventLog::create`].
const REPLICAS: usize = 1;

/// The tables that the log must fit, and whether that has been shown in this process.
#[derive(Default)]
pub(super) struct Proof {
    tables: Tables,
    shown: OnceCell<()>,
}

impl Proof {
    pub(super) fn new(tables: Tables) -> Self {
        Self {
            tables,
            shown: OnceCell::new(),
        }
    }
}

impl EventLog {
    /// Returns the log's epoch after making sure, once in a process, that the log is the one of
    /// this market's tables. A log that does not exist is begun if the tables are new.
    ///
    /// # Errors
    /// [`Error::Unavailable`] while the log or one of the databases cannot be reached.
    /// [`Error::Blocked`] if the log is another one, has lost events, or is missing beside tables
    /// that were built from one.
    pub async fn prepare(&self) -> Result<Epoch, Error> {
        // Callers wait for one proof together; one that fails lets the next caller try.
        self.proof
            .shown
            .get_or_try_init(|| self.prove(REPLICAS))
            .await?;
        self.epoch().await
    }

    /// Creates the log of new tables with this number of replicas.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it exists already; otherwise those of [`EventLog::prepare`].
    pub async fn create(&self, replicas: usize) -> Result<Epoch, Error> {
        if self.is_begun().await? {
            return Err(Error::Conflict { what: "event log" });
        }

        self.prove(replicas).await?;
        self.epoch().await
    }

    /// Describes a log that does not exist yet.
    pub(super) async fn describe_absence(&self) -> Result<String, Error> {
        match self.proof.tables.checkpoints().await {
            Ok(checkpoints) => may_begin(&checkpoints)?,
            // Tables that have not been made yet belong to no log; a database that is away is told
            // by its own line.
            Err(Error::Unavailable { .. }) => {}
            Err(error) => return Err(error),
        }

        Ok("it does not exist yet; the first process that serves the market creates it".to_owned())
    }

    /// Checks that the tables were built from this log, as far as there are any. Changes nothing.
    pub(super) async fn compare(&self) -> Result<(), Error> {
        let checkpoints = match self.proof.tables.checkpoints().await {
            Ok(checkpoints) => checkpoints,
            // As for a log that does not exist yet.
            Err(Error::Unavailable { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };

        for (name, checkpoint) in checkpoints {
            if !checkpoint.is_new() {
                self.check_tables(name, checkpoint).await?;
            }
        }
        Ok(())
    }

    async fn prove(&self, replicas: usize) -> Result<(), Error> {
        let checkpoints = self.proof.tables.checkpoints().await?;
        if !self.is_begun().await? {
            may_begin(&checkpoints)?;
            self.begin(replicas).await?;
        }

        let epoch = self.epoch().await?;
        // In both databases before the first event is written: a process that is connected to
        // another server finds it there and writes nothing.
        let checkpoints = self.proof.tables.adopt(epoch).await?;
        for (name, checkpoint) in checkpoints {
            self.check_tables(name, checkpoint).await?;
        }

        self.bind_subjects().await
    }

    /// Checks that the tables of the projection `name`, which are at `checkpoint`, were built from
    /// this log.
    ///
    /// # Errors
    /// [`Error::Blocked`] if they were not, or if the log has lost what they were built from.
    pub async fn check_tables(&self, name: &str, checkpoint: Checkpoint) -> Result<(), Error> {
        let epoch = self.epoch().await?;
        let not_ours =
            |why: String| Err(Error::blocked("event log", format!("{name} tables: {why}")));

        if checkpoint.epoch != epoch {
            // What is known of the log may be older than the tables.
            self.recheck().await;
            return not_ours(format!(
                "they were built from epoch {}, but the log's epoch is {}; connect to the log of \
                 this market, or restore it",
                checkpoint.epoch.0, epoch.0
            ));
        }

        // Nothing has been applied yet that could be compared.
        if checkpoint.position == 0 {
            return Ok(());
        }

        let Some(record) = self.get(checkpoint.position).await? else {
            return not_ours(format!(
                "they are at sequence {}, which the log does not have; restore the log \
                 from a backup",
                checkpoint.position
            ));
        };

        // An event that could not be decoded has no id to compare.
        match (record.event.map(|event| event.id), checkpoint.event_id) {
            (Ok(found), Some(kept)) if found != kept => not_ours(format!(
                "the log has a different event at sequence {} than the one applied; restore the \
                 log from a backup",
                checkpoint.position
            )),
            (Ok(found), _) => {
                self.saw(checkpoint.position, found);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// Checks that no tables belong to a log, so that one may be begun.
pub(super) fn may_begin(checkpoints: &[(&'static str, Checkpoint)]) -> Result<(), Error> {
    let built = checkpoints
        .iter()
        .find(|(_, checkpoint)| !checkpoint.is_new());

    let Some((name, checkpoint)) = built else {
        return Ok(());
    };

    Err(Error::blocked(
        "event log",
        format!(
            "it is missing, but the {name} tables were built from epoch {} up to sequence {}; \
             connect to the log of this market, or restore it from a backup",
            checkpoint.epoch.0, checkpoint.position
        ),
    ))
}
