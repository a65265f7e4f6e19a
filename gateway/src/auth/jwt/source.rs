//! Place that the set of keys is loaded from: an HTTPS endpoint of the identity provider, or a file.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Client;
use reqwest::redirect::Policy;
use url::Url;

/// Largest set, in bytes.
const MAX_SET: usize = 1 << 20;

/// Time for a load of the set. Shorter than the time that a websocket has for its first message, since the first token
/// of a new key waits for it.
const LOAD_TIMEOUT: Duration = Duration::from_millis(2_500);

/// Time between two loads of an endpoint. A key that an identity provider withdraws is refused after that time.
const ENDPOINT_INTERVAL: Duration = Duration::from_mins(5);

/// Time between two reads of a file.
const FILE_INTERVAL: Duration = Duration::from_secs(10);

/// Place of the set of keys.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// Endpoint, such as the `jwks_uri` of OpenID Connect.
    Url(Url),
    /// File on this machine.
    File(PathBuf),
}

/// Loader of the set.
pub(super) enum Source {
    Endpoint { client: Client, url: Url },
    File(PathBuf),
}

impl Source {
    /// Builds the loader.
    ///
    /// # Errors
    /// The HTTP client cannot be set up.
    pub(super) fn new(source: KeySource) -> reqwest::Result<Self> {
        Ok(match source {
            KeySource::File(path) => Self::File(path),
            KeySource::Url(url) => {
                let client = Client::builder()
                    // The keys that everything rests on come from the place that the operator named, and from no other.
                    .redirect(Policy::none())
                    .no_proxy()
                    .timeout(LOAD_TIMEOUT)
                    .build()?;
                Self::Endpoint { client, url }
            }
        })
    }

    /// Returns the time between two loads.
    pub(super) fn interval(&self) -> Duration {
        match self {
            Self::Endpoint { .. } => ENDPOINT_INTERVAL,
            Self::File(_) => FILE_INTERVAL,
        }
    }

    /// Loads the text of the set.
    ///
    /// # Errors
    /// The place does not answer, or with more than 1 MiB.
    pub(super) async fn load(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::Endpoint { client, url } => {
                let fetched = fetch(client, url.clone()).await;
                // The URL is known, and may hold what should not be in a log.
                fetched.map_err(|error| error.without_url().to_string())?
            }
            Self::File(path) => {
                let read = tokio::fs::read(path).await;
                let text = read.map_err(|error| format!("{}: {error}", path.display()))?;
                (text.len() <= MAX_SET).then_some(text)
            }
        }
        .ok_or_else(|| format!("it is larger than {MAX_SET} bytes"))
    }
}

/// Fetches a body, `None` if it is too large.
async fn fetch(client: &Client, url: Url) -> reqwest::Result<Option<Vec<u8>>> {
    let mut response = client.get(url).send().await?.error_for_status()?;
    let mut body = Vec::new();

    while let Some(part) = response.chunk().await? {
        if body.len() + part.len() > MAX_SET {
            return Ok(None);
        }
        body.extend_from_slice(&part);
    }
    Ok(Some(body))
}
