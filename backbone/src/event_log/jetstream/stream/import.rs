//! The market's stream as an import writes it: messages at given sequences, one after the other.

use std::time::Duration;

use async_nats::jetstream::stream::Stream;
use futures_util::future::join_all;
use tokio::time::sleep;

use super::checks::EXPECTED_LAST_SEQUENCE;
use super::{ATTEMPT_TIMEOUT, EXPECTED_STREAM, MarketStream, broken, unavailable};
use crate::clock::Clock;
use crate::event_log::jetstream::connect::NatsAccess;
use crate::event_log::jetstream::message::header_map;
use crate::event_log::jetstream::raw::Wanted;
use crate::event_log::record::{AppendAnswer, Stored};
use crate::position::{Epoch, Sequence};
use crate::{Error, random};

/// Time to reach the server.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Attempts to store one message while outcomes are unknown.
const ATTEMPTS: u32 = 10;
/// Pause between two attempts, with a jitter of 20 %.
const PAUSE: Duration = Duration::from_millis(500);

/// The stream, opened by one import.
pub(in crate::event_log) struct Import {
    market: MarketStream,
    stream: Stream<()>,
}

impl Import {
    pub(in crate::event_log) async fn open(
        urls: &str,
        access: &NatsAccess,
        market: &str,
        clock: Clock,
    ) -> Result<Self, Error> {
        let market = MarketStream::connect(urls, access, market, clock)?;
        market.wait_for_connection(CONNECT_TIMEOUT).await?;

        // Without the first event, which is a message of the import like any other, and with every
        // subject below the market's name: whatever once got into the log keeps its sequence.
        market.create_for_all_subjects().await?;
        let stream = market
            .context
            .get_stream_no_info(market.name())
            .await
            .map_err(unavailable)?;

        Ok(Self { market, stream })
    }

    pub(in crate::event_log) async fn head(&self) -> Result<Sequence, Error> {
        let info = self.stream.get_info().await.map_err(unavailable)?;
        Ok(info.state.last_sequence)
    }

    pub(in crate::event_log) async fn get(
        &self,
        sequence: Sequence,
    ) -> Result<Option<Stored>, Error> {
        self.market.read(Wanted::at(sequence)).await
    }

    /// Stores messages at their sequences, which follow the head.
    ///
    /// # Errors
    /// Those of the first message that could not be stored, with its sequence. Those before it are.
    pub(in crate::event_log) async fn store(
        &self,
        batch: &[Stored],
    ) -> Result<(), (Sequence, Error)> {
        // All of them at once. The server takes them in this order, and the expectation of each makes
        // it refuse those behind one that it has not stored.
        let answers = join_all(batch.iter().map(|stored| self.publish(stored))).await;

        for (stored, answer) in batch.iter().zip(answers) {
            if !is_stored(stored, &answer) {
                let done = self.store_alone(stored).await;
                done.map_err(|error| (stored.sequence, error))?;
            }
        }
        Ok(())
    }

    /// Stores a message unless it is there.
    async fn store_alone(&self, stored: &Stored) -> Result<(), Error> {
        let mut why = String::new();
        for _ in 0..ATTEMPTS {
            match self.publish(stored).await {
                answer if is_stored(stored, &answer) => return Ok(()),
                // An attempt before this one may have been stored although its answer was lost.
                AppendAnswer::WrongLastSequence => return self.check_stored(stored).await,
                AppendAnswer::Refused { why } => return Err(unavailable(why)),
                answer => why = format!("{answer:?}"),
            }

            sleep(random::jitter(PAUSE, 0.2)).await;
        }

        Err(unavailable(why))
    }

    async fn publish(&self, stored: &Stored) -> AppendAnswer {
        let mut headers = header_map(&stored.message);
        headers.insert(EXPECTED_STREAM, self.market.name());
        // The expectation makes the sequence exact, and a repeat harmless.
        let last = stored.sequence - 1;
        headers.insert(EXPECTED_LAST_SEQUENCE, last.to_string());

        let body = stored.message.body.clone();
        // The epoch only becomes part of the answer, of which the sequence is what counts.
        self.market
            .publish(Epoch(0), &stored.subject, headers, body)
            .await
    }

    async fn check_stored(&self, stored: &Stored) -> Result<(), Error> {
        let limit = ATTEMPT_TIMEOUT * 2;
        let found = tokio::time::timeout(limit, self.get(stored.sequence))
            .await
            .map_err(unavailable)??;

        let same = found.is_some_and(|found| {
            found.subject == stored.subject && found.message == stored.message
        });
        if same {
            return Ok(());
        }

        Err(broken("another process is writing to the stream"))
    }
}

/// Returns whether an answer says that a message is stored at its sequence.
fn is_stored(stored: &Stored, answer: &AppendAnswer) -> bool {
    matches!(answer, AppendAnswer::Stored(end) if end.sequence == stored.sequence)
}
