//! Export and import of the log as a file.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use backbone::clock::Clock;
use backbone::event_log::{EventLog, ExportHeader, ImportFile, LogImport};

use crate::backends::{DataDir, log_file};
use crate::commands::output::{self, Output};
use crate::commands::progress::Progress;
use crate::commands::stores::{CommandError, lock};
use crate::settings::{Config, Mode};

/// Writes the log to a file, or to standard output.
pub(super) async fn export(log: &EventLog, file: &Path) -> Result<(), CommandError> {
    if file == Path::new("-") {
        let mut out = BufWriter::new(Output::open());
        let header = write(log, &mut out).await;
        let header = header.map_err(|error| out.get_ref().explain(error))?;
        output::tell(exported(&header));
        return Ok(());
    }

    // Never over another file: that may be the only backup there is.
    let created = File::create_new(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let mut out = BufWriter::new(created);
    let header = write(log, &mut out).await?;

    // A backup that a power loss can empty is none.
    let written = out.into_inner().map_err(|error| error.into_error())?;
    written.sync_all()?;
    output::print(exported(&header))
}

async fn write(log: &EventLog, out: &mut impl Write) -> Result<ExportHeader, CommandError> {
    let mut progress = Progress::start("exported", log.head().await?);

    let header = log.export(out, |sequence| progress.reached(sequence));
    Ok(header.await?)
}

fn exported(header: &ExportHeader) -> String {
    let ExportHeader {
        market,
        epoch,
        count,
        ..
    } = header;

    format!(
        "Exported {count} events of market {market}, epoch {}",
        epoch.0
    )
}

/// Writes a file into the log of the market.
pub(super) async fn import(config: &Config, file: &Path) -> Result<(), CommandError> {
    let opened = File::open(file).map_err(|error| format!("{}: {error}", file.display()))?;
    // Checked as a whole before the log is created.
    let mut file = ImportFile::check(BufReader::new(opened), &config.market)?;

    let (log, _data_dir) = open(config).await?;
    let count = file.header().count;
    let epoch = file.header().epoch;
    let mut progress = Progress::start("imported", count);

    let written = log.run(&mut file, |sequence| progress.reached(sequence));
    let written = written.await?;
    output::print(format_args!(
        "Imported {written} events; the log of market {} has {count} events and epoch {}",
        config.market, epoch.0
    ))?;
    output::print(
        "If the market accepted changes after this export, run `dealwire log reopen --restored` before you start it: \
         clients hold positions of those changes",
    )
}

/// Opens the log to be written to, with the lock that must be held meanwhile.
async fn open(config: &Config) -> Result<(LogImport, Option<DataDir>), CommandError> {
    match &config.mode {
        Mode::Embedded { data_dir } => {
            let locked = lock(data_dir)?;
            let file = log_file(data_dir, &config.market);
            Ok((LogImport::sqlite(&file).await?, Some(locked)))
        }
        Mode::Production { nats, .. } => {
            let log = LogImport::jetstream(
                nats.reveal(),
                &config.servers.nats,
                &config.market,
                Clock::system(),
            );
            Ok((log.await?, None))
        }
    }
}
