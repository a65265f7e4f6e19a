//! Values of limits as the page shows them.

use std::collections::HashMap;

use clap::CommandFactory;

use crate::commands::Cli;

/// Value of a limit.
#[derive(Clone, Copy)]
pub(super) enum Value {
    /// Text that stands for itself.
    Text(&'static str),
    /// Number of the code.
    Fixed(usize),
    /// Number of bytes of the code.
    FixedBytes(usize),
    /// Default of the setting with this flag, a number, and a text after it.
    Count(&'static str, &'static str),
    /// Default of the setting with this flag, a number of bytes, and a text after it.
    Bytes(&'static str, &'static str),
    /// Default of the setting with this flag, with this unit.
    Unit(&'static str, &'static str),
}

/// Defaults of the settings, by flag.
pub(super) struct Defaults(HashMap<String, String>);

impl Defaults {
    /// Reads them from the command line's own definition.
    pub(super) fn of_command_line() -> Self {
        let command = Cli::command();
        let defaults = command.get_arguments().filter_map(|setting| {
            let value = setting.get_default_values().first()?;
            Some((setting.get_long()?.to_owned(), value.to_str()?.to_owned()))
        });

        Self(defaults.collect())
    }

    fn number(&self, flag: &str) -> u64 {
        let default = self.0.get(flag);
        let number = default.and_then(|text| text.parse().ok());

        number.unwrap_or_else(|| panic!("--{flag} has no default that is a number"))
    }
}

impl Value {
    /// Writes the value with the setting that changes it.
    pub(super) fn write(self, defaults: &Defaults) -> String {
        match self {
            Self::Text(text) => text.to_owned(),
            Self::Fixed(number) => count(number as u64),
            Self::FixedBytes(number) => bytes(number as u64),
            Self::Count(flag, rest) => {
                format!("{} (`--{flag}`){rest}", count(defaults.number(flag)))
            }
            Self::Bytes(flag, rest) => {
                format!("{} (`--{flag}`){rest}", bytes(defaults.number(flag)))
            }
            Self::Unit(flag, unit) => {
                format!("{} {unit} (`--{flag}`)", count(defaults.number(flag)))
            }
        }
    }
}

/// Writes a number with a comma between thousands.
fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }

    text
}

/// Writes a number of bytes in the largest unit that it is a multiple of.
fn bytes(number: u64) -> String {
    match number {
        whole if whole.is_multiple_of(1 << 20) => format!("{} MiB", count(whole >> 20)),
        whole if whole.is_multiple_of(1 << 10) => format!("{} KiB", count(whole >> 10)),
        other => format!("{} bytes", count(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_for_people() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(60_000_000), "60,000,000");
        assert_eq!(bytes(256 << 10), "256 KiB");
        assert_eq!(bytes(4 << 20), "4 MiB");
        assert_eq!(bytes(20_000), "20,000 bytes");
    }
}
