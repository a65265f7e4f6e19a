//! The log as one JetStream stream: file storage, limits retention, nothing ever deleted. Only this
//! module and its children know NATS.
//!
//! Events are published as plain requests, so that every answer of the server, with a code or
//! without, is seen as it was given.

mod answer;
mod connect;
mod fitness;
mod message;
mod raw;
mod stream;
mod tail;

use async_nats::HeaderName;
use async_nats::header::{NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, NATS_MESSAGE_ID};

use self::message::header_map;
use self::raw::Wanted;
use self::stream::{EXPECTED_STREAM, MarketStream, unavailable};
use super::record::{ATTEMPT_TIMEOUT, AppendAnswer, Record};
use crate::Error;
use crate::clock::Clock;
use crate::contract::wire::Message;
use crate::ids::EventId;
use crate::position::{Epoch, Sequence};

pub use self::connect::NatsAccess;
pub(super) use self::stream::Import;
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

    pub(super) async fn epochs(&self) -> Result<Vec<Epoch>, Error> {
        Ok(self.0.checked().await?.epochs.to_vec())
    }

    /// Checks the stream again at the next use.
    pub(super) async fn recheck(&self) {
        self.0.recheck().await;
    }

    /// Returns whether the stream is there and has its first event.
    pub(super) async fn is_begun(&self) -> Result<bool, Error> {
        self.0.is_begun().await
    }

    /// Creates the stream with this number of replicas unless it is there, and its first event.
    pub(super) async fn begin(&self, replicas: usize) -> Result<(), Error> {
        self.0.begin(replicas).await
    }

    /// Binds exactly the subjects of a market.
    pub(super) async fn bind_subjects(&self) -> Result<(), Error> {
        self.0.bind_subjects().await
    }

    /// Remembers an event that is in the log, and must still be there after a reconnect.
    pub(super) fn saw(&self, sequence: Sequence, id: EventId) {
        self.0.saw(sequence, id);
    }

    pub(super) async fn append(
        &self,
        epoch: Epoch,
        id: EventId,
        subject: &str,
        message: Message,
        expected: Sequence,
    ) -> AppendAnswer {
        let mut headers = header_map(&message);
        headers.insert(HeaderName::from_static(EXPECTED_STREAM), self.0.name());
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected.to_string());
        headers.insert(NATS_MESSAGE_ID, id.to_string());

        let answer = self.0.publish(epoch, subject, headers, message.body).await;
        if let AppendAnswer::Stored(position) = &answer {
            self.0.saw(position.sequence, id);
        }

        answer
    }

    pub(super) async fn last(&self, subject: &str) -> Result<Option<Record>, Error> {
        let subject = self.0.with_market(subject);
        self.read(Wanted::last(&subject)).await
    }

    pub(super) async fn get(&self, sequence: Sequence) -> Result<Option<Record>, Error> {
        self.read(Wanted::at(sequence)).await
    }

    pub(super) async fn next(
        &self,
        subject: &str,
        after: Sequence,
    ) -> Result<Option<Record>, Error> {
        let subject = self.0.with_market(subject);
        self.read(Wanted::next(&subject, after)).await
    }

    pub(super) async fn next_decision(&self, after: Sequence) -> Result<Option<Record>, Error> {
        let subjects = self.0.with_market("decision.*");
        self.read(Wanted::next(&subjects, after)).await
    }

    async fn read(&self, wanted: Wanted<'_>) -> Result<Option<Record>, Error> {
        let epochs = self.0.checked().await?.epochs;
        let stored = self.0.read(wanted).await?;
        Ok(stored.map(|stored| stored.decode(&epochs)))
    }

    pub(super) async fn head(&self) -> Result<Sequence, Error> {
        self.0.head().await
    }

    pub(super) async fn tail(&self, after: Sequence) -> Result<Tail, Error> {
        Tail::open(self.0.clone(), after).await
    }

    /// Waits for the connection: commands ask right after the client has begun to connect.
    pub(super) async fn connected(&self) -> Result<(), Error> {
        self.0.wait_for_connection(ATTEMPT_TIMEOUT * 2).await
    }

    pub(super) async fn describe(&self) -> Result<String, Error> {
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
