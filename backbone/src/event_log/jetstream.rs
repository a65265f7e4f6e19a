//! The log as one JetStream stream: file storage, limits retention, nothing ever deleted. Only this
//! module and its children know NATS.
//!
//! Events are published as plain requests, so that every answer of the server, with a code or
//! without, is seen as it was given.

mod answer;
mod connect;
mod message;
mod stream;
mod tail;

use async_nats::HeaderName;
use async_nats::header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID};

use self::message::header_map;
use self::stream::{EXPECTED_STREAM, MarketStream, unavailable};
use super::record::{ATTEMPT_TIMEOUT, AppendAnswer, Stored};
use crate::Error;
use crate::clock::Clock;
use crate::contract::wire::Message;
use crate::ids::EventId;
use crate::position::{Epoch, Sequence};

pub use self::connect::NatsAccess;
pub(super) use self::tail::Tail;

#[derive(Clone)]
pub(super) struct JetStreamLog(MarketStream);

impl JetStreamLog {
    pub(super) fn connect(
        urls: &str,
        access: &NatsAccess,
        market: &str,
        clock: Clock,
    ) -> Result<Self, Error> {
        MarketStream::connect(urls, access, market, clock).map(Self)
    }

    pub(super) fn is_up(&self) -> bool {
        self.0.is_up()
    }

    pub(super) fn connection(&self) -> u64 {
        self.0.connection()
    }

    pub(super) async fn epoch(&self) -> Result<Epoch, Error> {
        self.0.epoch().await
    }

    pub(super) async fn append(
        &self,
        id: EventId,
        subject: &str,
        message: Message,
        expected: Sequence,
    ) -> AppendAnswer {
        // While disconnected, the client library would keep the message and send it later, when
        // the caller has long been told that nothing was written.
        if let Err(error) = self.epoch().await {
            return AppendAnswer::NotConnected {
                why: error.to_string(),
            };
        }

        let mut headers = header_map(&message);
        headers.insert(HeaderName::from_static(EXPECTED_STREAM), self.0.name());
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected.to_string());
        headers.insert(NATS_MESSAGE_ID, id.to_string());
        self.0.publish(subject, headers, message.body).await
    }

    // The reads below go to the stream's leader. A direct get would be answered by any replica,
    // which may not have the newest events yet.

    pub(super) async fn last(&self, subject: &str) -> Result<Option<Stored>, Error> {
        let subject = self.0.with_market(subject);
        let stream = self.0.checked().await?.stream;
        self.0
            .found(stream.get_last_raw_message_by_subject(&subject).await)
    }

    pub(super) async fn get(&self, sequence: Sequence) -> Result<Option<Stored>, Error> {
        let stream = self.0.checked().await?.stream;
        self.0.found(stream.get_raw_message(sequence).await)
    }

    pub(super) async fn next(
        &self,
        subject: &str,
        after: Sequence,
    ) -> Result<Option<Stored>, Error> {
        let subject = self.0.with_market(subject);
        let stream = self.0.checked().await?.stream;
        let next = stream
            .get_first_raw_message_by_subject(&subject, after + 1)
            .await;

        self.0.found(next)
    }

    pub(super) async fn head(&self) -> Result<Sequence, Error> {
        self.0.head().await
    }

    pub(super) async fn tail(&self, after: Sequence) -> Result<Tail, Error> {
        Tail::open(self.0.clone(), after).await
    }

    pub(super) async fn describe(&self) -> Result<String, Error> {
        // Commands ask right after the client has begun to connect.
        self.0.wait_for_connection(ATTEMPT_TIMEOUT * 2).await?;

        let stream = self.0.checked().await?.stream;
        let info = stream.get_info().await.map_err(unavailable)?;
        let client = self.0.client();
        let version = client.server_info().version;
        let synced = if client.is_server_compatible(2, 10, 0) {
            "its sync_interval (2 minutes unless set; `always` loses nothing)"
        } else {
            "60 seconds, which this version cannot change"
        };

        let stream = &info.config.name;
        let replicas = info.config.num_replicas;
        Ok(format!(
            "stream {stream} with {replicas} replica(s) on nats-server {version}: an acknowledged \
             event survives kill -9; a power loss of every replica may lose up to {synced}"
        ))
    }
}
