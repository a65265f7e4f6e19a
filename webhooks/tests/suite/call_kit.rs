//! Helpers of the tests that make single calls: senders that may call 127.0.0.1 and nothing else
//! that is special, and a call to make.

use std::time::Duration;

use backbone::clock::Clock;
use backbone::testkit::{Receiver, Reply};
use bytes::Bytes;
use uuid::Uuid;
use webhooks::outcome::Outcome;
use webhooks::resolver::Resolver;
use webhooks::sender::{Call, CallLimits, Sender};
use webhooks::signature::Secret;

use super::kit::{egress, install_tls_provider};

pub(super) const ID: Uuid = Uuid::from_u128(0x0198_f000_7000_8000_0000_0000_0000_0001);
pub(super) const BODY: &str = r#"{"type":"deal.updated","data":"£"}"#;
pub(super) const SECOND: Duration = Duration::from_secs(1);
/// Time within which something must have happened, however busy the machine is.
pub(super) const SOON: Duration = Duration::from_secs(10);
/// Loopback address that is permitted.
pub(super) const HERE: [u8; 4] = [127, 0, 0, 1];
/// Loopback address that is not permitted.
pub(super) const PRIVATE: [u8; 4] = [127, 0, 0, 2];

pub(super) fn sender(limits: CallLimits) -> Sender {
    sender_with(Resolver::system().unwrap(), limits)
}

pub(super) fn sender_with(resolver: Resolver, limits: CallLimits) -> Sender {
    install_tls_provider();
    Sender::with_limits(egress(), resolver, limits).unwrap()
}

pub(super) fn within(exchange: Duration) -> CallLimits {
    CallLimits {
        exchange,
        ..CallLimits::default()
    }
}

pub(super) fn call<'a>(url: &'a str, secrets: &'a [Secret]) -> Call<'a> {
    Call {
        url,
        id: ID,
        at: Clock::system().now(),
        secrets,
        body: Bytes::from_static(BODY.as_bytes()),
        replay: false,
    }
}

pub(super) async fn send(sender: &Sender, url: &str) -> Outcome {
    sender
        .send(&call(url, &[Secret::from_bytes([1; 32])]))
        .await
}

/// Returns the outcome of one call to a receiver with this script.
pub(super) async fn outcome_of(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Outcome {
    let receiver = Receiver::start(move |_| reply()).await;
    send(&sender(CallLimits::default()), &receiver.url("/")).await
}
