//! Standard output and standard error of the commands: the only place that writes to them.
//!
//! A reader such as `head` closes a pipe when it has enough. The standard library's macros panic then; a command ends
//! quietly instead, as one does that the signal SIGPIPE ends.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use super::stores::CommandError;

/// Exit code of a command whose reader has gone, which a shell also reports for one that SIGPIPE ended: 128 + 13.
pub(super) const OUTPUT_CLOSED: u8 = 141;

/// Failure of a command whose reader has closed its end of standard output. Nobody is left to be told.
#[derive(Debug, thiserror::Error)]
#[error("standard output was closed by its reader")]
pub(super) struct OutputClosed;

/// Standard output for much text, behind a buffer of the caller's.
pub(super) struct Output {
    stdout: io::Stdout,
    /// Kind of the first failure.
    failure: Option<ErrorKind>,
}

/// Prints a line on standard output.
///
/// # Errors
/// [`OutputClosed`] if the reader has gone; another one if the text cannot be stored.
pub(super) fn print(line: impl Display) -> Result<(), CommandError> {
    prompt(format_args!("{line}\n"))
}

/// Prints text on standard output at once, without ending the line.
///
/// # Errors
/// Those of [`print`].
pub(super) fn prompt(text: impl Display) -> Result<(), CommandError> {
    let mut out = Output::open();
    let written = write!(out, "{text}").and_then(|()| out.flush());

    written.map_err(|error| out.explain(error))
}

/// Prints a line on standard error. A failure is left alone: there is no other place to tell it.
pub(super) fn tell(line: impl Display) {
    let _untold = writeln!(io::stderr(), "{line}");
}

impl Output {
    /// Returns standard output, of which nothing has failed yet.
    pub(super) fn open() -> Self {
        Self {
            stdout: io::stdout(),
            failure: None,
        }
    }

    /// Returns `error` as the failure of a command, or [`OutputClosed`] if a reader that has gone is its cause.
    pub(super) fn explain(&self, error: impl Into<CommandError>) -> CommandError {
        match self.failure {
            Some(ErrorKind::BrokenPipe) => OutputClosed.into(),
            Some(_) => format!("standard output: {}", error.into()).into(),
            None => error.into(),
        }
    }

    fn note<T>(&mut self, outcome: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &outcome
            // The caller tries again after that.
            && error.kind() != ErrorKind::Interrupted
        {
            self.failure.get_or_insert(error.kind());
        }
        outcome
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stdout.write(bytes);
        self.note(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = self.stdout.flush();
        self.note(flushed)
    }
}
