//! `dealwire`: one binary, its roles and its tools by name.

use std::process::ExitCode;

use clap::Parser;
use gateway::commands::{self, Cli};
use mimalloc::MiMalloc;

/// A fifth of a create's time is memory management.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    commands::install_tls_provider();
    commands::run(Cli::parse())
}
