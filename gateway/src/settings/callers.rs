//! Settings of callers: pages in browsers, and tokens of an identity provider.

mod browser;
mod jwt;

use clap::Args;

use crate::auth::jwt::JwtSettings;
use crate::browser::BrowserRules;
use browser::BrowserSettings;
use jwt::TokenSettings;

/// Flags of callers, as given.
#[derive(Args, Clone, Debug)]
pub(super) struct CallerSettings {
    #[command(flatten)]
    browser: BrowserSettings,

    #[command(flatten)]
    tokens: TokenSettings,
}

impl CallerSettings {
    /// Returns the rules for pages, and those for tokens if any are accepted. `is_loopback`: the public address can be
    /// reached from this machine only. What makes no sense is added to `faults`.
    pub(super) fn check(
        &self,
        is_loopback: bool,
        faults: &mut Vec<String>,
    ) -> (BrowserRules, Option<JwtSettings>) {
        (
            self.browser.check(is_loopback, faults),
            self.tokens.check(faults),
        )
    }
}
