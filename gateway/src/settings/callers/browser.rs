//! Settings of what pages in browsers may do.

use clap::Args;

use crate::browser::{BrowserRules, Origins};

/// Flags of what pages in browsers may do, as given.
#[derive(Args, Clone, Debug)]
pub(super) struct BrowserSettings {
    /// Host names that clients reach the public API by, separated by commas or repeated: api.example.com
    ///
    /// Requests that name another host are refused, so that a page cannot reach this server under a name of its own (DNS
    /// rebinding). A server on a loopback address accepts loopback names and addresses and these; one on another
    /// address accepts every host unless it is given some. A name without a port stands for every port.
    #[arg(
        long,
        env = "DEALWIRE_PUBLIC_HOST",
        value_name = "HOSTS",
        value_delimiter = ',',
        global = true
    )]
    public_host: Vec<String>,

    /// Origins whose pages may use the API from a browser (CORS), separated by commas or repeated:
    /// https://app.example.com, or * for all
    ///
    /// Without it, only pages of this server and of --public-host may.
    #[arg(
        long,
        env = "DEALWIRE_CORS_ORIGIN",
        value_name = "ORIGINS",
        value_delimiter = ',',
        global = true
    )]
    cors_origin: Vec<String>,
}

impl BrowserSettings {
    /// Returns the rules. `is_loopback`: the public address can be reached from this machine only. What makes no sense is
    /// added to `faults`.
    pub(super) fn check(&self, is_loopback: bool, faults: &mut Vec<String>) -> BrowserRules {
        let hosts = given(&self.public_host);
        for host in &hosts {
            if !BrowserRules::is_host(host) {
                faults.push(format!(
                    "--public-host must be a host with or without a port, such as \
                     api.example.com, but is {host:?}"
                ));
            }
        }

        BrowserRules::new(is_loopback, hosts, self.origins(faults))
    }

    fn origins(&self, faults: &mut Vec<String>) -> Origins {
        let origins = given(&self.cors_origin);
        if origins == ["*"] {
            return Origins::Any;
        }

        for origin in &origins {
            if !BrowserRules::is_origin(origin) {
                faults.push(format!(
                    "--cors-origin must be * alone, or origins such as https://app.example.com, \
                     but is {origin:?}"
                ));
            }
        }
        Origins::These(origins)
    }
}

fn given(values: &[String]) -> Vec<String> {
    let values = values.iter().map(|value| value.trim().to_ascii_lowercase());

    values.filter(|value| !value.is_empty()).collect()
}
