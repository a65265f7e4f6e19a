//! Servers and credentials of the NATS client.

use std::path::PathBuf;

use async_nats::{ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::Error;
use crate::client_tls::{ClientTls, read};

/// Name of the NATS servers in errors.
const WHAT: &str = "event log";

/// Credentials and certificates for NATS that a URL cannot hold.
#[derive(Clone, Debug, Default)]
pub struct NatsAccess {
    /// File with a JWT and its seed, as `nsc` writes it (`.creds`).
    pub credentials: Option<PathBuf>,
    /// File with the seed of an nkey.
    pub nkey: Option<PathBuf>,
    /// Certificates.
    pub tls: ClientTls,
}

/// Credentials that a URL holds.
#[derive(Debug, PartialEq, Eq)]
enum UrlCredentials {
    UserAndPassword(String, String),
    Token(String),
}

/// Returns the servers that `urls` lists, separated by commas, and the options to connect to any of
/// them.
///
/// # Errors
/// [`Error::Broken`] for a URL that cannot be parsed, credentials that contradict each other, or a
/// file that cannot be used. No message holds a secret.
pub(super) fn connect_options(
    urls: &str,
    access: &NatsAccess,
) -> Result<(Vec<ServerAddr>, ConnectOptions), Error> {
    let mut servers = Vec::new();
    let mut credentials: Option<UrlCredentials> = None;
    for url in urls.split(',').map(str::trim).filter(|url| !url.is_empty()) {
        let (server, found) = parse(url)?;
        servers.push(server);

        match (&credentials, found) {
            // The client has one set of credentials for all servers of its cluster.
            (Some(first), Some(other)) if *first != other => {
                return Err(broken(
                    "the NATS URLs contain different credentials; use the same ones in all of them",
                ));
            }
            (None, found) => credentials = found,
            _ => {}
        }
    }

    let given = [
        credentials.is_some(),
        access.credentials.is_some(),
        access.nkey.is_some(),
    ];
    if given.into_iter().filter(|given| *given).count() > 1 {
        return Err(broken(
            "give only one kind of credentials for NATS: in the URL, in a credentials file or in an nkey file",
        ));
    }

    let options = with_tls(ConnectOptions::new(), &access.tls)?;
    Ok((servers, with_credentials(options, credentials, access)?))
}

fn with_credentials(
    options: ConnectOptions,
    credentials: Option<UrlCredentials>,
    access: &NatsAccess,
) -> Result<ConnectOptions, Error> {
    if let Some(file) = &access.credentials {
        let text = read_text(file)?;
        return options
            .credentials(&text)
            .map_err(|_| broken(format!("{} contains no NATS credentials", file.display())));
    }

    if let Some(file) = &access.nkey {
        let text = read_text(file)?;
        // The seed is a line of its own; comments may stand around it.
        let seed = text
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with('S'));
        let seed = seed
            .ok_or_else(|| broken(format!("{} does not contain an nkey seed", file.display())))?;
        return Ok(options.nkey(seed.to_owned()));
    }

    Ok(match credentials {
        Some(UrlCredentials::UserAndPassword(user, password)) => {
            options.user_and_password(user, password)
        }
        Some(UrlCredentials::Token(token)) => options.token(token),
        None => options,
    })
}

fn with_tls(options: ConnectOptions, tls: &ClientTls) -> Result<ConnectOptions, Error> {
    if !tls.is_given() {
        return Ok(options);
    }

    // Whoever names certificates must not send a password in clear text, whatever the URL says.
    let mut options = options.require_tls(true);
    if let Some(ca) = &tls.ca {
        // Read again by the client whenever it connects; a wrong name is told now.
        read(WHAT, ca)?;
        options = options.add_root_certificates(ca.clone());
    }
    if let Some(identity) = &tls.identity {
        read(WHAT, &identity.cert)?;
        read(WHAT, &identity.key)?;
        options = options.add_client_certificate(identity.cert.clone(), identity.key.clone());
    }

    Ok(options)
}

/// Parses a URL. The server that is returned has no credentials, so that it can be logged.
fn parse(url: &str) -> Result<(ServerAddr, Option<UrlCredentials>), Error> {
    // As for the client library, a host without a scheme is one of NATS.
    let with_scheme = if url.contains("://") {
        url.to_owned()
    } else {
        format!("nats://{url}")
    };

    let mut url = Url::parse(&with_scheme).map_err(broken)?;
    let decoded = |text: &str| {
        let text = percent_decode_str(text).decode_utf8();
        text.map(|text| text.into_owned())
            .map_err(|_| broken("the credentials in a NATS URL are not UTF-8"))
    };

    let credentials = match (url.username(), url.password()) {
        ("", None) => None,
        (token, None) => Some(UrlCredentials::Token(decoded(token)?)),
        (user, Some(password)) => Some(UrlCredentials::UserAndPassword(
            decoded(user)?,
            decoded(password)?,
        )),
    };

    let without = url.set_username("").and_then(|()| url.set_password(None));
    if credentials.is_some() && without.is_err() {
        return Err(broken("a NATS URL with credentials has no host"));
    }

    let server = ServerAddr::from_url(url).map_err(broken)?;
    Ok((server, credentials))
}

fn read_text(file: &std::path::Path) -> Result<String, Error> {
    String::from_utf8(read(WHAT, file)?)
        .map_err(|_| broken(format!("{} is not UTF-8 text", file.display())))
}

fn broken(error: impl std::fmt::Display) -> Error {
    Error::broken(WHAT, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_servers_and_one_set_of_credentials() {
        let user = |user: &str, password: &str| {
            Some(UrlCredentials::UserAndPassword(
                user.into(),
                password.into(),
            ))
        };
        let table = [
            ("nats://host:4222", "nats://host:4222", None),
            ("host", "nats://host:4222", None),
            (
                "tls://me:p%40ss%2F:x@host",
                "tls://host:4222",
                user("me", "p@ss/:x"),
            ),
            (
                "nats://t%2Bken@host:1",
                "nats://host:1",
                Some(UrlCredentials::Token("t+ken".into())),
            ),
        ];
        for (url, server, credentials) in table {
            let (parsed, found) = parse(url).unwrap();
            let host = format!("{}://{}:{}", parsed.scheme(), parsed.host(), parsed.port());
            assert_eq!((host.as_str(), found), (server, credentials));
            assert!(!parsed.has_user_pass());
        }

        let access = NatsAccess::default();
        let list = connect_options("nats://a:b@one, two:4000,three", &access).unwrap();
        assert_eq!(list.0.len(), 3);
        let different = connect_options("nats://a:secret@one,nats://b:secret@two", &access);
        let Err(error) = different else {
            panic!("the credentials differ")
        };
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
