//! `dealwire`: one binary, its roles and its tools by name.

use std::process::ExitCode;

use clap::Parser;
use gateway::commands::{self, Cli};

fn main() -> ExitCode {
    commands::install_tls_provider();
    commands::run(Cli::parse())
}
