//! The tail: an ordered, ephemeral consumer of the stream.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Message as Delivered;
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;

use super::message::headers;
use super::raw::Wanted;
use super::stream::{Connection, MarketStream, unavailable};
use crate::Error;
use crate::contract::wire::Message;
use crate::event_log::record::{Record, Stored};
use crate::position::{Epoch, Sequence};

/// Time without a message after which the tail asks for the head: a consumer that the server has
/// lost reports nothing.
const WATCHDOG: Duration = Duration::from_secs(1);

/// Largest total of the bodies in one batch, in bytes: a batch is held in memory as a whole.
const BATCH_BYTES: usize = 8 << 20;

pub(in crate::event_log) struct Tail {
    stream: MarketStream,
    messages: pull::Ordered,
    connection: Connection,
    epochs: Arc<[Epoch]>,
    /// Sequence after which the tail was opened.
    opened_after: Sequence,
    last: Sequence,
    /// Event that was read past the consumer, because a consumer could not deliver it.
    skipped: Option<Stored>,
    /// Set when the head was beyond the last message at the previous watchdog check.
    suspect: bool,
}

impl Tail {
    /// Opens a consumer that begins after the sequence `after`.
    pub(super) async fn open(stream: MarketStream, after: Sequence) -> Result<Self, Error> {
        let checked = stream.checked().await?;
        // The client library ends the connection at a message whose headers or subject are not
        // UTF-8. Where the last tail ended without an event, that event is read by itself.
        let skipped = if stream.was_stuck(after) {
            stream.read(Wanted::at(after + 1)).await?
        } else {
            None
        };

        let start = after + 1 + skipped.iter().len() as u64;
        let config = pull::OrderedConfig {
            deliver_policy: DeliverPolicy::ByStartSequence {
                start_sequence: start,
            },
            ..pull::OrderedConfig::default()
        };

        let consumer = checked
            .stream
            .create_consumer(config)
            .await
            .map_err(unavailable)?;

        let messages = consumer.messages().await.map_err(unavailable)?;
        Ok(Self {
            stream,
            messages,
            connection: checked.connection,
            epochs: checked.epochs,
            opened_after: after,
            last: after,
            skipped,
            suspect: false,
        })
    }

    /// Waits for the next message and returns it with those that have arrived behind it, at most
    /// `max` and about [`BATCH_BYTES`].
    pub(in crate::event_log) async fn batch(&mut self, max: usize) -> Result<Vec<Record>, Error> {
        let batch = self.next_batch(max).await;
        if batch.is_err() && self.last == self.opened_after {
            self.stream.note_stuck(self.opened_after);
        }

        batch
    }

    async fn next_batch(&mut self, max: usize) -> Result<Vec<Record>, Error> {
        let first = match self.skipped.take() {
            Some(skipped) => {
                self.last = skipped.sequence;
                skipped
            }
            None => self.first().await?,
        };
        self.suspect = false;

        // Whatever the client has received already is taken without waiting for more.
        let mut bytes = first.message.body.len();
        let mut batch = vec![first.decode(&self.epochs)];
        while batch.len() < max && bytes < BATCH_BYTES {
            let Some(message) = self.messages.next().now_or_never() else {
                break;
            };

            let stored = self.read(message)?;
            bytes += stored.message.body.len();
            batch.push(stored.decode(&self.epochs));
        }

        Ok(batch)
    }

    async fn first(&mut self) -> Result<Stored, Error> {
        let mut state = self.stream.watch_connection();
        let connection = self.connection;
        let message = loop {
            tokio::select! {
                // What has arrived counts, even if the connection is gone by now.
                biased;
                message = self.messages.next() => break message,
                // After a reconnect the stream may be a different one, and the ephemeral consumer
                // may be gone; both are checked by opening a new tail.
                () = replaced(&mut state, connection) => {
                    return Err(unavailable("the connection to NATS was replaced"));
                }
                () = tokio::time::sleep(WATCHDOG) => self.check_silence().await?,
            }
        };

        self.read(message)
    }

    /// Reports the consumer as dead after two silent watchdog periods in a row in which the log had
    /// more events. After one period, the events may just be on their way.
    async fn check_silence(&mut self) -> Result<(), Error> {
        let beyond = self.stream.head().await? > self.last;
        if beyond && self.suspect {
            return Err(unavailable(format!(
                "the tail received nothing after sequence {} although the log has more events",
                self.last
            )));
        }

        self.suspect = beyond;
        Ok(())
    }

    fn read(
        &mut self,
        message: Option<Result<Delivered, pull::OrderedError>>,
    ) -> Result<Stored, Error> {
        let message = message
            .ok_or_else(|| unavailable("the consumer of the tail ended"))?
            .map_err(unavailable)?;

        let sequence = message.info().map_err(unavailable)?.stream_sequence;
        self.last = sequence;

        let subject = self.stream.without_market(&message.subject).to_owned();
        let headers = message.headers.as_ref().map(headers).unwrap_or_default();
        let body = message.message.payload;
        Ok(Stored {
            sequence,
            subject,
            message: Message { headers, body },
        })
    }
}

/// Returns once the connection is no longer `connection`.
async fn replaced(state: &mut watch::Receiver<Connection>, connection: Connection) {
    // An error says that the client has ended, and with it the connection.
    let _ended = state.wait_for(|now| *now != connection).await.is_err();
}
