//! The reference of all settings as a page of Markdown, made from the command line itself.

use std::ffi::OsStr;
use std::fmt::Write;

use clap::builder::Resettable;
use clap::{Arg, ArgAction, CommandFactory};

use super::Cli;

/// Sections of the page by heading, each with its flags. A flag that stands in none goes under "Other settings".
const SECTIONS: [(&str, &[&str]); 7] = [
    (
        "Serving",
        &[
            "listen",
            "admin-listen",
            "roles",
            "drain-seconds",
            "ping-seconds",
            "no-views",
            "view-bytes",
            "max-query-cost",
            "max-result-bytes",
            "operations-per-account",
            "operations",
        ],
    ),
    (
        "GraphQL over HTTP and documents",
        &[
            "trusted-documents",
            "trusted-documents-only",
            "apq-bytes",
            "graphql-http-2026",
            "no-http-compression",
        ],
    ),
    (
        "Connections",
        &[
            "max-connections",
            "max-connections-per-address",
            "trusted-proxies",
            "proxy-protocol",
            "websocket-compression",
            "tls-cert",
            "tls-key",
        ],
    ),
    (
        "Market and storage",
        &[
            "market",
            "data-dir",
            "feed-days",
            "feed-max-days",
            "demo",
            "no-demo",
        ],
    ),
    (
        "Production backends",
        &[
            "nats-url",
            "nats-credentials",
            "nats-nkey-file",
            "nats-ca",
            "nats-cert",
            "nats-key",
            "redis-url",
            "redis-ca",
            "redis-cert",
            "redis-key",
            "seller-database-url",
            "buyer-database-url",
            "request-connections",
            "key-connections",
            "feed-connections",
        ],
    ),
    (
        "Webhooks",
        &[
            "webhook-secrets-key",
            "webhook-allow-http",
            "webhook-allow-net",
            "webhook-concurrency",
            "webhook-rate",
            "webhook-calls",
        ],
    ),
    ("Logging", &["log", "log-json"]),
];

const INTRODUCTION: &str = "\
# Settings

Each setting has a flag and an environment variable. The flag wins when both are given. `dealwire check-config` checks all
settings without serving anything and reports every fault at once.

A switch is on when its flag is given. Its environment variable turns it off with `false`, `no`, `off`, `n`, `f`, `0` or an
empty value, and on with anything else. Secret values are never printed or logged.

This page is generated: `cargo run -- settings-reference > docs/settings.md`.
";

/// Returns `docs/settings.md`: every flag with its environment variable, values, default and description.
pub fn settings_reference() -> String {
    let command = Cli::command();
    let settings: Vec<&Arg> = command
        .get_arguments()
        .filter(|arg| arg.get_env().is_some())
        .collect();

    let mut page = INTRODUCTION.to_owned();
    for (heading, flags) in SECTIONS {
        let listed = flags
            .iter()
            .filter_map(|flag| settings.iter().find(|arg| arg.get_long() == Some(*flag)));
        write_section(&mut page, heading, listed.copied());
    }

    let is_listed = |arg: &Arg| {
        let mut listed = SECTIONS.iter().flat_map(|(_, flags)| *flags);
        listed.any(|flag| arg.get_long() == Some(*flag))
    };
    let others = settings.iter().copied().filter(|arg| !is_listed(arg));
    write_section(&mut page, "Other settings", others);
    page
}

fn write_section<'a>(page: &mut String, heading: &str, settings: impl Iterator<Item = &'a Arg>) {
    let mut rows = settings.map(row).peekable();
    if rows.peek().is_none() {
        return;
    }

    let head = "| Flag | Environment variable | Values | Default | Description |";
    write!(
        page,
        "\n## {heading}\n\n{head}\n| --- | --- | --- | --- | --- |\n"
    )
    .expect("a String takes all that is written to it");
    page.extend(rows);
}

fn row(setting: &Arg) -> String {
    let flag = setting.get_long().unwrap_or_default();
    let variable = setting
        .get_env()
        .and_then(OsStr::to_str)
        .unwrap_or_default();
    let help = setting.get_long_help().or(setting.get_help());
    let description = help.map(ToString::to_string).unwrap_or_default();
    // The command line shows the first paragraph as a heading, without a full stop. A bar would end the cell, and so would
    // a line break.
    let description = description
        .replace("\n\n", ". ")
        .replace('|', "\\|")
        .replace('\n', " ");

    format!(
        "| `--{flag}` | `{variable}` | {} | {} | {description} |\n",
        values(setting),
        default(setting)
    )
}

fn default(setting: &Arg) -> String {
    if is_switch(setting) {
        return "off".to_owned();
    }
    let values: Vec<&str> = setting
        .get_default_values()
        .iter()
        .filter_map(|value| value.to_str())
        .collect();

    match values.as_slice() {
        [] => "none".to_owned(),
        values => format!("`{}`", values.join(",")),
    }
}

fn values(setting: &Arg) -> String {
    if is_switch(setting) {
        return "switch".to_owned();
    }
    if let Some((lowest, highest)) = range(setting) {
        return format!("{lowest} to {highest}");
    }

    let kind = if setting.is_hide_env_values_set() {
        "secret text"
    } else {
        "text"
    };
    match setting.get_value_delimiter() {
        Some(',') => format!("{kind}, several with commas"),
        _ => kind.to_owned(),
    }
}

fn is_switch(setting: &Arg) -> bool {
    matches!(setting.get_action(), ArgAction::SetTrue)
}

/// Lowest and highest whole number that a setting accepts; none when it takes text.
///
/// clap does not tell the range of a parser, so the parser is asked about numbers until the edges are found. It accepts
/// every number between them.
fn range(setting: &Arg) -> Option<(u64, u64)> {
    if accepts(setting, "text") {
        return None;
    }
    let lowest = (0..=1).find(|number| accepts(setting, &number.to_string()))?;

    let mut accepted = lowest;
    let mut rejected = u64::MAX;
    while rejected - accepted > 1 {
        let middle = accepted + (rejected - accepted) / 2;
        if accepts(setting, &middle.to_string()) {
            accepted = middle;
        } else {
            rejected = middle;
        }
    }
    Some((lowest, accepted))
}

fn accepts(setting: &Arg, value: &str) -> bool {
    // The environment of this process must not have a say in it.
    let setting = setting.clone().env(Resettable::Reset);
    let flag = format!("--{}", setting.get_long().unwrap_or_default());

    let probe = clap::Command::new("probe")
        .no_binary_name(true)
        .arg(setting);
    probe.try_get_matches_from([flag.as_str(), value]).is_ok()
}
