//! The operator's confirmation of a command that cannot be undone.

use std::io::{IsTerminal, stdin};

use clap::Args;

use super::output;
use super::stores::CommandError;

/// Option of commands that ask before they act.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct Confirm {
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
}

impl Confirm {
    /// Prints what is about to happen, and returns once the operator has typed the market's name.
    ///
    /// # Errors
    /// The operator typed something else; there is no terminal to ask on, and `--yes` was not given.
    pub(super) fn ask(self, market: &str, consequences: &str) -> Result<(), CommandError> {
        output::print(consequences)?;
        if self.yes {
            return Ok(());
        }
        if !stdin().is_terminal() {
            return Err("nothing was changed; add --yes to go on without being asked".into());
        }

        output::prompt(format_args!(
            "Type the name of the market, {market}, to go on: "
        ))?;
        let mut typed = String::new();
        stdin().read_line(&mut typed)?;

        if typed.trim() == market {
            Ok(())
        } else {
            Err("that is not the name of the market; nothing was changed".into())
        }
    }
}
