//! Import of an exported log into one that does not exist yet.
//!
//! A log is its sequences: whoever stored a position relies on it. So an import writes the same
//! messages at the same sequences or nothing, and the epoch stays the same because all of it does.
//! The whole file is checked before the first message is written. An import that failed midway goes
//! on where it stopped, after checking that the log holds what the file does.

use std::io::{BufRead, Seek};
use std::path::Path;

use super::lines::{self, ExportHeader};
use super::record::Stored;
use super::{NatsAccess, jetstream, sqlite};
use crate::Error;
use crate::clock::Clock;
use crate::contract::{Fact, Subject};
use crate::position::{Epoch, Sequence};

/// Most messages that one call to the log stores.
const BATCH: usize = 500;

/// Failure of an import.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be imported as it is, or not into this log. Nothing was written.
    #[error("nothing was imported: {0}")]
    Refused(String),
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    File(#[from] std::io::Error),
    /// The log cannot be read, and nothing was written.
    #[error("nothing was imported: {0}")]
    Log(#[from] Error),
    /// The log failed midway.
    #[error(
        "line {line} could not be imported: {why}; the lines before it are in the log, and the same \
         command goes on from there"
    )]
    Stopped {
        /// Number of the line, from 1, which is the header's.
        line: u64,
        /// Reason, as the log reported it.
        why: String,
    },
}

/// An exported log that was checked from its first line to its last.
pub struct ImportFile<R> {
    reader: R,
    header: ExportHeader,
}

impl<R: BufRead + Seek> ImportFile<R> {
    /// Reads the whole file and checks that it is a complete log of `market`: sequences from 1
    /// without a hole, as many as the header says, first the event that opens the log, and last of
    /// its epochs the header's.
    ///
    /// # Errors
    /// [`ImportError::Refused`] names the line that is wrong, and [`ImportError::File`] a file that
    /// cannot be read.
    pub fn check(mut reader: R, market: &str) -> Result<Self, ImportError> {
        let header = read_header(&mut reader)?;
        if header.market != market {
            return Err(ImportError::Refused(format!(
                "the file holds the log of market {}, but --market is {market}",
                header.market
            )));
        }

        let mut last = 0;
        let mut epoch = None;
        while let Some(stored) = read_message(&mut reader, last)? {
            if stored.sequence == 1 || stored.subject == Subject::Opened.to_string() {
                epoch = Some(read_epoch(stored)?);
            }
            last += 1;
        }

        if last != header.count || last == 0 {
            return Err(ImportError::Refused(format!(
                "the file ends after message {last}, but its header announces {}",
                header.count
            )));
        }

        if epoch != Some(header.epoch) {
            return Err(ImportError::Refused(format!(
                "the header names epoch {}, which is not the last one of the messages",
                header.epoch.0
            )));
        }

        Ok(Self { reader, header })
    }

    /// Returns the first line of the file.
    pub fn header(&self) -> &ExportHeader {
        &self.header
    }

    fn rewind(&mut self) -> Result<(), ImportError> {
        self.reader.rewind()?;
        read_header(&mut self.reader)?;
        Ok(())
    }
}

/// A log that an import writes to.
pub struct LogImport(Target);

enum Target {
    JetStream(Box<jetstream::Import>),
    Sqlite(sqlite::Import),
}

impl LogImport {
    /// Opens the log on a NATS server, and creates its stream, empty, if there is none.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the server cannot be reached. [`Error::Broken`] if the stream is
    /// not fit to be a log.
    pub async fn jetstream(
        urls: &str,
        access: &NatsAccess,
        market: &str,
        clock: Clock,
    ) -> Result<Self, Error> {
        let target = jetstream::Import::open(urls, access, market, clock).await?;
        Ok(Self(Target::JetStream(Box::new(target))))
    }

    /// Opens the log in an SQLite file, which is created, empty, if it does not exist. The caller
    /// holds the lock of its directory.
    ///
    /// # Errors
    /// [`Error::Broken`] if the file cannot be opened.
    pub async fn sqlite(file: &Path) -> Result<Self, Error> {
        Ok(Self(Target::Sqlite(sqlite::Import::open(file).await?)))
    }

    /// Writes the messages of a file that the log does not hold yet. `progress` is called with the
    /// sequence up to which the log holds them. Returns how many were written.
    ///
    /// # Errors
    /// [`ImportError::Refused`] if the log holds anything that the file does not.
    pub async fn run<R: BufRead + Seek>(
        self,
        file: &mut ImportFile<R>,
        mut progress: impl FnMut(Sequence),
    ) -> Result<u64, ImportError> {
        let held = self.head().await?;
        if held > file.header.count {
            return Err(ImportError::Refused(format!(
                "the log has {held} messages, more than the {} of the file",
                file.header.count
            )));
        }

        file.rewind()?;
        self.compare(file, held).await?;
        progress(held);

        let mut last = held;
        loop {
            let batch = read_batch(&mut file.reader, last)?;
            let Some(end) = batch.last().map(|stored| stored.sequence) else {
                break;
            };

            self.store(&batch).await?;
            last = end;
            progress(last);
        }

        self.close().await;
        Ok(last - held)
    }

    /// Checks that the log begins with the messages that the file begins with.
    async fn compare<R: BufRead>(
        &self,
        file: &mut ImportFile<R>,
        held: Sequence,
    ) -> Result<(), ImportError> {
        for sequence in 1..=held {
            let expected = read_message(&mut file.reader, sequence - 1)?;
            let found = self.get(sequence).await?;

            if !found.zip(expected).is_some_and(|(a, b)| is_same(&a, &b)) {
                return Err(ImportError::Refused(format!(
                    "the log is not empty, and its message {sequence} is not the one of the file"
                )));
            }
        }

        Ok(())
    }

    async fn head(&self) -> Result<Sequence, Error> {
        match &self.0 {
            Target::JetStream(log) => log.head().await,
            Target::Sqlite(log) => log.head().await,
        }
    }

    async fn get(&self, sequence: Sequence) -> Result<Option<Stored>, Error> {
        match &self.0 {
            Target::JetStream(log) => log.get(sequence).await,
            Target::Sqlite(log) => log.get(sequence).await,
        }
    }

    /// Stores messages at their sequences, which follow the head.
    async fn store(&self, batch: &[Stored]) -> Result<(), ImportError> {
        // The header is line 1, so message 1 is in line 2.
        let stopped = |sequence: Sequence, why: String| ImportError::Stopped {
            line: sequence + 1,
            why,
        };

        match &self.0 {
            Target::JetStream(log) => {
                let done = log.store(batch).await;
                done.map_err(|(sequence, error)| stopped(sequence, error.to_string()))?;
            }
            Target::Sqlite(log) => {
                let done = log.store(batch).await;
                done.map_err(|error| stopped(batch[0].sequence, error.to_string()))?;
            }
        }

        Ok(())
    }

    async fn close(self) {
        match self.0 {
            // Its client ends with it; every message was acknowledged.
            Target::JetStream(_) => {}
            Target::Sqlite(log) => log.close().await,
        }
    }
}

/// Returns whether a stored message is the one that an import would store.
fn is_same(a: &Stored, b: &Stored) -> bool {
    a.sequence == b.sequence && a.subject == b.subject && a.message == b.message
}

fn read_header(reader: &mut impl BufRead) -> Result<ExportHeader, ImportError> {
    let mut line = String::new();
    reader.read_line(&mut line)?;

    ExportHeader::decode(line.trim_end()).map_err(|why| refused_line(1, &why))
}

/// Reads the message that follows `last`; `None` at the end of the file.
fn read_message(reader: &mut impl BufRead, last: Sequence) -> Result<Option<Stored>, ImportError> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }

    let number = last + 2;
    let stored = lines::decode(line.trim_end()).map_err(|why| refused_line(number, &why))?;
    if stored.sequence != last + 1 {
        let why = format!("its sequence is {}, not {}", stored.sequence, last + 1);
        return Err(refused_line(number, &why));
    }

    Ok(Some(stored))
}

fn read_batch(reader: &mut impl BufRead, after: Sequence) -> Result<Vec<Stored>, ImportError> {
    let mut batch: Vec<Stored> = Vec::new();
    while batch.len() < BATCH {
        let last = after + batch.len() as u64;
        match read_message(reader, last)? {
            Some(stored) => batch.push(stored),
            None => break,
        }
    }

    Ok(batch)
}

/// Reads the epoch of the event that opens or reopens a log.
fn read_epoch(stored: Stored) -> Result<Epoch, ImportError> {
    let line = stored.sequence + 1;
    let is_first = stored.sequence == 1;

    match stored.decode(&[]).event.map(|event| event.fact) {
        Ok(Fact::MarketOpened { epoch }) if is_first => Ok(epoch),
        Ok(Fact::MarketReopened { epoch }) if !is_first => Ok(epoch),
        Ok(_) if is_first => Err(refused_line(line, "it is not the event that opens a log")),
        Ok(_) => Err(refused_line(line, "it is not the event that reopens a log")),
        Err(why) => Err(refused_line(line, &why.to_string())),
    }
}

fn refused_line(line: u64, why: &str) -> ImportError {
    ImportError::Refused(format!("line {line} of the file: {why}"))
}
