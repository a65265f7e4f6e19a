//! Sender: makes one signed call, to an address that was checked for it, bounded in time and in how
//! much of the response is read. It follows no redirect, repeats nothing and stores nothing.

mod failure;
mod guard;
mod response;

use std::sync::Arc;
use std::time::Duration;

use backbone::Error;
use backbone::telemetry::TraceContext;
use backbone::time::Timestamp;
use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, redirect};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use crate::egress::{Egress, Refused};
use crate::outcome::{ErrorClass, Outcome};
use crate::resolver::Resolver;
use crate::signature::{Secret, sign};
use guard::GuardedResolver;
use response::PartialResponse;

/// Idle connections that are kept for each host.
const IDLE_CONNECTIONS: usize = 8;

/// Time for which an idle connection is kept.
// Below the 5 s after which common servers close idle connections (Node's default, for example). A
// call on a connection that the server is just closing fails, and would count against the endpoint.
const IDLE_TIMEOUT: Duration = Duration::from_secs(3);

/// Time limits of a call, and additional certificate authorities.
#[derive(Clone, Debug)]
pub struct CallLimits {
    /// Time to resolve the name, connect and complete the TLS handshake.
    pub connect: Duration,
    /// Time for the whole exchange, to the end of the response body.
    pub exchange: Duration,
    /// Certificate authorities that are trusted in addition to the system's.
    pub roots: Vec<Certificate>,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            exchange: Duration::from_secs(15),
            roots: Vec::new(),
        }
    }
}

/// Call to make.
#[derive(Clone, Debug)]
pub struct Call<'a> {
    /// URL to call.
    pub url: &'a str,
    /// Delivery: the header `webhook-id`, the same for every attempt.
    pub id: Uuid,
    /// Start of this attempt: the header `webhook-timestamp`.
    pub at: Timestamp,
    /// Secrets that sign the call, the newest first.
    pub secrets: &'a [Secret],
    /// Body, the same bytes for every attempt.
    pub body: Bytes,
    /// `true` if the endpoint's owner requested the delivery again.
    pub replay: bool,
}

/// Maker of calls. Clones share their connections.
#[derive(Clone)]
pub struct Sender {
    client: Client,
    egress: Arc<Egress>,
    exchange: Duration,
}

impl Sender {
    /// Creates a sender with the default [`CallLimits`].
    ///
    /// # Errors
    /// [`Error::Broken`] when the system has no certificate authorities.
    ///
    /// # Panics
    /// Panics when the process has no default provider of TLS.
    pub fn new(egress: Egress, resolver: Resolver) -> Result<Self, Error> {
        Self::with_limits(egress, resolver, CallLimits::default())
    }

    /// Creates a sender with other limits; everything else is as for [`new`](Self::new).
    pub fn with_limits(
        egress: Egress,
        resolver: Resolver,
        limits: CallLimits,
    ) -> Result<Self, Error> {
        let egress = Arc::new(egress);

        let client = Client::builder()
            .user_agent(concat!("Dealwire/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(GuardedResolver::new(resolver, Arc::clone(&egress)))
            // A proxy would resolve names itself, behind the guard.
            .no_proxy()
            // A redirect could lead to an address that the guard has not seen, and would move the
            // signed body to a host that the owner did not register.
            .redirect(redirect::Policy::none())
            // The retry policy decides about every repetition, so that each is an attempt that its
            // owner can see.
            .retry(reqwest::retry::never())
            .http1_only()
            .connect_timeout(limits.connect)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tls_certs_merge(limits.roots)
            .build()
            .map_err(|error| Error::broken("webhook sender", failure::root_cause(&error)))?;

        Ok(Self {
            client,
            egress,
            exchange: limits.exchange,
        })
    }

    /// Makes a call. Failures are part of the outcome.
    pub async fn send(&self, call: &Call<'_>) -> Outcome {
        let started = Instant::now();
        let mut response = PartialResponse::default();

        // The response is filled from outside the future, so that what has arrived by the deadline
        // is kept when the future is dropped.
        let exchange = self.exchange(call, &mut response);
        let failure = match timeout(self.exchange, exchange).await {
            Ok(Ok(())) => None,
            Ok(Err(class)) => Some(class),
            Err(_) => Some(ErrorClass::Timeout),
        };

        let outcome = response.into_outcome(failure, started.elapsed());
        tracing::debug!(
            delivery = %call.id,
            ?outcome.status,
            ?outcome.error,
            ?outcome.duration,
            "webhook called"
        );
        outcome
    }

    async fn exchange(
        &self,
        call: &Call<'_>,
        partial: &mut PartialResponse,
    ) -> Result<(), ErrorClass> {
        // Checked at registration too, but the rules may be stricter since. This also covers
        // literal addresses, which the client dials without asking the resolver.
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
        let response = request
            .send()
            .await
            .map_err(|error| failure::class_of(&error))?;

        partial.read(response).await
    }
}

fn headers(call: &Call<'_>) -> HeaderMap {
    let id = call.id.to_string();
    let timestamp = call.at.as_micros().div_euclid(1_000_000);
    let signature = sign(call.secrets, &id, timestamp, &call.body);

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
    // A trace of its own: that of the seller's request would tell a receiver which of its calls, and
    // those of other buyers, one request caused.
    headers.insert(
        HeaderName::from_static("traceparent"),
        text(TraceContext::root().to_string()),
    );

    if call.replay {
        headers.insert(
            HeaderName::from_static("webhook-replay"),
            HeaderValue::from_static("true"),
        );
    }
    headers
}
