//! Settings of the process's own log.

use clap::Args;
use clap::builder::FalseyValueParser;

/// Settings of the log on standard error.
#[derive(Args, Clone, Debug)]
pub(super) struct LoggingSettings {
    /// Log level or tracing filters, such as info or dealwire=debug,warn
    #[arg(
        long,
        env = "DEALWIRE_LOG",
        default_value = "info",
        value_name = "FILTERS",
        global = true
    )]
    pub(super) log: String,

    /// Write the log as JSON, one object per line, for log collectors
    #[arg(
        long,
        env = "DEALWIRE_LOG_JSON",
        value_parser = FalseyValueParser::new(),
        global = true
    )]
    pub(super) log_json: bool,
}
