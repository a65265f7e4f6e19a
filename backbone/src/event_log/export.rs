//! Export of the log as JSON lines: a snapshot up to the head that it has when the export begins.

use std::io::Write;

use super::EventLog;
use super::lines::{self, ExportHeader};
use crate::Error;
use crate::position::Sequence;

/// Most messages that are read at a time.
const BATCH: u64 = 1_000;

impl EventLog {
    /// Writes every message up to the present head to `out`, behind a header. `progress` is called
    /// with the sequence up to which messages have been written.
    ///
    /// # Errors
    /// Those of the log. [`Error::Broken`] if `out` cannot be written to, or if the log has a hole.
    pub async fn export(
        &self,
        out: &mut impl Write,
        mut progress: impl FnMut(Sequence),
    ) -> Result<ExportHeader, Error> {
        let written = |error: std::io::Error| Error::broken("export", error);

        // Later events are left out: the header says how many lines follow before they are read.
        let epoch = self.epoch().await?;
        let head = self.head().await?;
        let header = ExportHeader::new(&self.market, epoch, head);
        writeln!(out, "{}", header.encode()).map_err(written)?;

        let mut tail = self.tail(0).await?;
        let mut last = 0;
        while last < head {
            let max = BATCH.min(head - last) as usize;
            for record in tail.batch(max).await? {
                writeln!(out, "{}", lines::encode(&record)).map_err(written)?;
                last = record.sequence;
            }

            progress(last);
        }

        out.flush().map_err(written)?;
        Ok(header)
    }
}
