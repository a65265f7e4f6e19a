//! One signed call: checked, dialled to an address that was checked for it, bounded in time and in what is read.
//! It follows nothing, tries nothing twice and keeps no row.

use std::error::Error as _;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use backbone::Error;
use backbone::telemetry::TraceContext;
use backbone::time::Timestamp;
use bytes::Bytes;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, redirect};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::egress::{Egress, Refused};
use super::outcome::{ErrorClass, Outcome, RetryAfter};
use super::resolver::{Failure, Resolver};
use super::signature::{Secret, sign};

/// What is kept of an answer's body, in bytes.
const KEPT: usize = 4 * 1_024;

/// Where reading an answer's body ends, in bytes: whatever else comes, comes in vain.
const READ: usize = 64 * 1_024;

/// Addresses of one name that are tried.
const DIALLED: usize = 8;

/// Connections that wait for another call to the same host, and for how long: less than the 5 s after which common
/// servers close them, since a call on a connection that is just being closed fails.
const IDLE: (usize, Duration) = (8, Duration::from_secs(3));

/// How long a call may take, and whom it trusts.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Resolving the name, connecting and agreeing on TLS.
    pub connect: Duration,
    /// All of it, to the end of the answer's body.
    pub exchange: Duration,
    /// Certificate authorities that are trusted beside the system's.
    pub roots: Vec<Certificate>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            exchange: Duration::from_secs(15),
            roots: Vec::new(),
        }
    }
}

/// What is to be sent.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// Where to.
    pub url: &'a str,
    /// The delivery: `webhook-id`, the same at every try.
    pub id: Uuid,
    /// When this try is made: `webhook-timestamp`.
    pub at: Timestamp,
    /// All that the receiver may know: the newest first.
    pub secrets: &'a [Secret],
    /// The same bytes at every try.
    pub body: Bytes,
    /// The trace of the event. Each try is a child of it.
    pub trace: Option<TraceContext>,
    /// Whether the customer asked for it again.
    pub replay: bool,
}

/// Makes calls. Clones share their connections.
#[derive(Clone)]
pub struct Sender {
    client: Client,
    egress: Arc<Egress>,
    exchange: Duration,
}

impl Sender {
    /// With the default [`Limits`].
    ///
    /// # Errors
    /// [`Error::Broken`] when the system has no certificate authorities.
    ///
    /// # Panics
    /// When the process has no default provider of TLS.
    pub fn new(egress: Egress, resolver: Resolver) -> Result<Self, Error> {
        Self::with_limits(egress, resolver, Limits::default())
    }

    /// With other limits; the rest as [`new`](Self::new).
    pub fn with_limits(egress: Egress, resolver: Resolver, limits: Limits) -> Result<Self, Error> {
        let egress = Arc::new(egress);
        let client = Client::builder()
            .user_agent(concat!("Dealwire/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Guard {
                resolver,
                egress: Arc::clone(&egress),
            })
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .http1_only()
            .connect_timeout(limits.connect)
            .pool_max_idle_per_host(IDLE.0)
            .pool_idle_timeout(IDLE.1)
            .tls_certs_merge(limits.roots)
            .build()
            .map_err(|error| Error::broken("the sender of webhooks", root_cause(&error)))?;
        Ok(Self {
            client,
            egress,
            exchange: limits.exchange,
        })
    }

    /// Makes a call. It never fails: what went wrong is its outcome.
    pub async fn send(&self, call: &Call<'_>) -> Outcome {
        let (began, mut heard) = (Instant::now(), Heard::default());
        let ended = match timeout(self.exchange, self.exchange(call, &mut heard)).await {
            Ok(Ok(())) => None,
            Ok(Err(class)) => Some(class),
            Err(_) => Some(ErrorClass::Timeout),
        };
        let outcome = heard.outcome(ended, began.elapsed());
        tracing::debug!(delivery = %call.id, ?outcome.status, ?outcome.error, ?outcome.duration, "called");
        outcome
    }

    async fn exchange(&self, call: &Call<'_>, heard: &mut Heard) -> Result<(), ErrorClass> {
        let url = self
            .egress
            .check_url(call.url)
            .map_err(|refused| match refused {
                Refused::Address(_) => ErrorClass::RefusedAddress,
                _ => ErrorClass::RefusedUrl,
            })?;
        let request = self
            .client
            .post(url)
            .headers(headers(call))
            .body(call.body.clone());
        let mut response = request.send().await.map_err(|error| class_of(&error))?;
        heard.status = Some(response.status().as_u16());
        let wish = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok());
        heard.retry_after = wish.and_then(RetryAfter::parse);
        let mut read = 0;
        while read < READ {
            let Some(chunk) = response.chunk().await.map_err(|_| ErrorClass::BrokenOff)? else {
                break;
            };
            read += chunk.len();
            let room = KEPT - heard.body.len();
            heard
                .body
                .extend_from_slice(&chunk[..room.min(chunk.len())]);
        }
        Ok(())
    }
}

fn headers(call: &Call<'_>) -> HeaderMap {
    let (id, timestamp) = (
        call.id.to_string(),
        call.at.as_micros().div_euclid(1_000_000),
    );
    let signature = sign(call.secrets, &id, timestamp, &call.body);
    let trace = call
        .trace
        .as_ref()
        .map_or_else(TraceContext::root, TraceContext::child);
    let text = |text: String| {
        HeaderValue::try_from(text).expect("ids, numbers and base64 are visible ASCII")
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(HeaderName::from_static("webhook-id"), text(id));
    headers.insert(
        HeaderName::from_static("webhook-timestamp"),
        HeaderValue::from(timestamp),
    );
    headers.insert(
        HeaderName::from_static("webhook-signature"),
        text(signature),
    );
    headers.insert(
        HeaderName::from_static("traceparent"),
        text(trace.to_string()),
    );
    if call.replay {
        headers.insert(
            HeaderName::from_static("webhook-replay"),
            HeaderValue::from_static("true"),
        );
    }
    headers
}

/// What has come so far, so that a deadline does not lose it.
#[derive(Default)]
struct Heard {
    status: Option<u16>,
    retry_after: Option<RetryAfter>,
    body: Vec<u8>,
}

impl Heard {
    fn outcome(self, ended: Option<ErrorClass>, duration: Duration) -> Outcome {
        let error = match self.status {
            // A failure is told by its status, however its body ended.
            Some(300..=399) => Some(ErrorClass::Redirect),
            Some(status) if !(200..=299).contains(&status) => Some(ErrorClass::Status),
            _ => ended,
        };
        let mut answer = String::from_utf8_lossy(&self.body).replace('\0', "\u{fffd}");
        // Replacements are longer than what they replace.
        answer.truncate(answer.floor_char_boundary(KEPT));
        Outcome {
            status: self.status,
            error,
            retry_after: self.retry_after,
            duration,
            answer,
        }
    }
}

/// What the client dials a name at: nothing else than addresses that were judged for this connection.
struct Guard {
    resolver: Resolver,
    egress: Arc<Egress>,
}

/// Why a name is not dialled.
#[derive(Clone, Copy, Debug, thiserror::Error)]
enum NotDialled {
    #[error(transparent)]
    Unresolved(#[from] Failure),
    #[error("leads to no address that may be called")]
    Refused,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (resolver, egress) = (self.resolver.clone(), Arc::clone(&self.egress));
        Box::pin(async move {
            let found = resolver
                .addresses(name.as_str())
                .await
                .map_err(NotDialled::from)?;
            let may_be_dialled = |address: &IpAddr| egress.permits(*address).is_ok();
            let permitted: Vec<IpAddr> = found
                .into_iter()
                .filter(may_be_dialled)
                .take(DIALLED)
                .collect();
            if permitted.is_empty() {
                return Err(NotDialled::Refused.into());
            }
            // The client puts the URL's port in the place of 0.
            let addresses: Addrs = Box::new(
                permitted
                    .into_iter()
                    .map(|address| SocketAddr::new(address, 0)),
            );
            Ok(addresses)
        })
    }
}

/// Finds what a failure began with among the layers that tell of it.
fn class_of(error: &reqwest::Error) -> ErrorClass {
    if error.is_builder() {
        return ErrorClass::RefusedUrl;
    }
    let mut layer = error.source();
    while let Some(cause) = layer {
        if let Some(not_dialled) = cause.downcast_ref::<NotDialled>() {
            return match not_dialled {
                NotDialled::Refused => ErrorClass::RefusedAddress,
                NotDialled::Unresolved(Failure::NotFound) => ErrorClass::NameNotFound,
                NotDialled::Unresolved(Failure::NoNameServer) => ErrorClass::NoNameServer,
            };
        }
        if let Some(class) = cause.downcast_ref::<io::Error>().and_then(class_of_io) {
            return class;
        }
        layer = cause.source();
    }
    if error.is_connect() {
        ErrorClass::CannotConnect
    } else {
        ErrorClass::BrokenOff
    }
}

/// What the system says no to is ours. `None` for what does not tell by itself.
fn class_of_io(error: &io::Error) -> Option<ErrorClass> {
    /// ENFILE and EMFILE, for which there is no kind.
    const NO_FILES: [i32; 2] = [23, 24];
    // The connector wraps what happens between TCP and HTTP, and nothing else.
    if error.get_ref().is_some_and(|inner| inner.is::<io::Error>()) {
        return Some(ErrorClass::Tls);
    }
    let exhausted = matches!(
        error.kind(),
        io::ErrorKind::AddrNotAvailable | io::ErrorKind::OutOfMemory
    ) || error
        .raw_os_error()
        .is_some_and(|code| NO_FILES.contains(&code));
    exhausted.then_some(ErrorClass::NoSockets)
}

fn root_cause(error: &reqwest::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_has_no_more_of_is_our_trouble() {
        // EMFILE, ENFILE, ENOMEM, EADDRNOTAVAIL of Linux.
        for code in [24, 23, 12, 99] {
            let class = class_of_io(&io::Error::from_raw_os_error(code));
            assert_eq!(class, Some(ErrorClass::NoSockets), "{code}");
        }
        // ECONNREFUSED, ECONNRESET, ENETUNREACH, EHOSTUNREACH, ETIMEDOUT.
        for code in [111, 104, 101, 113, 110] {
            assert_eq!(
                class_of_io(&io::Error::from_raw_os_error(code)),
                None,
                "{code}"
            );
        }
    }

    #[test]
    fn an_answer_is_kept_as_text_that_every_database_takes() {
        let kept = |body: &[u8]| {
            let heard = Heard {
                status: Some(200),
                body: body.to_vec(),
                ..Heard::default()
            };
            heard.outcome(None, Duration::ZERO).answer
        };
        assert_eq!(kept("déjà vu".as_bytes()), "déjà vu");
        assert_eq!(kept(b"a\0b\xffc"), "a\u{fffd}b\u{fffd}c");
        assert_eq!(kept(&[0xff; KEPT]).len(), KEPT / 3 * 3);
        assert_eq!(kept("x".repeat(KEPT).as_bytes()).len(), KEPT);
    }
}
