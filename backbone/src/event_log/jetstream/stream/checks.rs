//! Checks of the stream on a new connection, and the beginning of a new one.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{Config, Info};

use super::{EXPECTED_STREAM, MarketStream, blocked, unavailable};
use crate::Error;
use crate::contract::{Subject, wire};
use crate::event_log::jetstream::fitness;
use crate::event_log::jetstream::message::header_map;
use crate::event_log::jetstream::raw::Wanted;
use crate::event_log::opening::{epoch_of, opening};
use crate::event_log::record::{AppendAnswer, id_of};
use crate::position::Epoch;

/// Header with the expected last sequence of the whole stream, not of one subject.
pub(super) const EXPECTED_LAST_SEQUENCE: &str = "Nats-Expected-Last-Sequence";

impl MarketStream {
    /// Checks that the stream is there, keeps what it acknowledges, and has lost nothing. Returns
    /// its epochs, oldest first.
    pub(super) async fn check_stream(&self) -> Result<Vec<Epoch>, Error> {
        let Some(info) = self.info().await? else {
            return Err(blocked(self.absence()));
        };

        self.check_fitness(&info)?;
        if info.state.last_sequence == 0 {
            return Err(blocked(self.absence()));
        }

        let lost = info.state.deleted_count.unwrap_or(0);
        if info.state.first_sequence != 1 || lost > 0 {
            return Err(blocked(format!(
                "the stream {} has lost events: it begins at sequence {} and has {lost} hole(s); \
                 restore it from a backup",
                self.name, info.state.first_sequence
            )));
        }

        self.epochs().await
    }

    fn check_fitness(&self, info: &Info) -> Result<(), Error> {
        let is_from = |(major, minor)| self.client.is_server_compatible(major, minor, 0);
        let Some(fault) = fitness::fault(&info.config, is_from) else {
            return Ok(());
        };

        let version = self.client.server_info().version;
        Err(blocked(format!(
            "the stream {} on nats-server {version} {fault}",
            self.name
        )))
    }

    /// Reads the epochs of the log: that of its first event, and one for each time that it was
    /// reopened.
    async fn epochs(&self) -> Result<Vec<Epoch>, Error> {
        let subject = self.with_market(&Subject::Opened.to_string());
        let mut epochs = vec![epoch_of(self.read(Wanted::at(1)).await?)?];
        let mut last = 1;

        while let Some(next) = self.read(Wanted::next(&subject, last)).await? {
            last = next.sequence;
            epochs.push(epoch_of(Some(next))?);
        }

        Ok(epochs)
    }

    /// Checks that the newest event that this process has seen is still where it was: a server may
    /// have lost its end in a power failure, and written other events there.
    pub(super) async fn check_newest(&self) -> Result<(), Error> {
        let Some((sequence, id)) = *self.newest.lock() else {
            return Ok(());
        };

        let found = self.read(Wanted::at(sequence)).await?;
        let found_id = found.as_ref().and_then(|stored| id_of(&stored.message));
        if found_id == Some(id) {
            return Ok(());
        }

        Err(blocked(match found {
            None => format!(
                "the stream {} has lost its end: event {id} at sequence {sequence} is gone; \
                 restore the log from a backup",
                self.name
            ),
            Some(_) => format!(
                "the stream {} has a different event at sequence {sequence} than event {id}, which \
                 was there; restore the log from a backup",
                self.name
            ),
        }))
    }

    /// Returns whether the stream is there and has its first event.
    pub(in crate::event_log::jetstream) async fn is_begun(&self) -> Result<bool, Error> {
        if !self.is_up() {
            return Err(self.not_connected());
        }

        let info = self.info().await?;
        Ok(info.is_some_and(|info| info.state.last_sequence > 0))
    }

    /// Creates the stream unless it is there, and appends its first event unless it has one.
    pub(in crate::event_log::jetstream) async fn begin(
        &self,
        replicas: usize,
    ) -> Result<(), Error> {
        let config = fitness::config(&self.name, &self.market, replicas);
        self.context
            .get_or_create_stream(config)
            .await
            .map_err(unavailable)?;

        self.append_opening().await
    }

    /// Creates the stream unless it is there, open to every subject below the market's name.
    pub(super) async fn create_for_all_subjects(&self) -> Result<(), Error> {
        let config = Config {
            subjects: vec![format!("{}.>", self.market)],
            ..fitness::config(&self.name, &self.market, 1)
        };
        self.context
            .get_or_create_stream(config)
            .await
            .map_err(unavailable)?;

        match self.info().await? {
            Some(info) => self.check_fitness(&info),
            None => Err(blocked(self.absence())),
        }
    }

    /// Binds exactly the subjects of a market, where a stream of version 0.1.0 binds all below its
    /// name.
    ///
    /// # Errors
    /// [`Error::Blocked`] if one of them is not bound and the stream cannot be changed.
    pub(in crate::event_log::jetstream) async fn bind_subjects(&self) -> Result<(), Error> {
        let Some(info) = self.info().await? else {
            return Ok(());
        };

        if !fitness::binds_others(&info.config, &self.market) {
            return Ok(());
        }

        let config = Config {
            subjects: fitness::subjects(&self.market),
            ..info.config.clone()
        };

        let Err(error) = self.context.update_stream(config).await else {
            tracing::info!(stream = self.name, "bound only the market's subjects");
            return Ok(());
        };

        if let Some(subject) = fitness::unbound(&info.config, &self.market) {
            return Err(blocked(format!(
                "the stream {} does not bind {subject}, and cannot be changed: {error}",
                self.name
            )));
        }
        // It is fit as it is; the change only keeps foreign messages out.
        tracing::warn!(%error, "the stream binds more than the market's subjects: {error}");
        Ok(())
    }

    /// Reads the stream's configuration and state; `None` if there is no such stream.
    async fn info(&self) -> Result<Option<Info>, Error> {
        match self.context.get_stream(&self.name).await {
            Ok(stream) => Ok(Some(stream.cached_info().clone())),
            Err(error) => match error.kind() {
                GetStreamErrorKind::JetStream(cause)
                    if cause.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    Ok(None)
                }
                _ => Err(unavailable(error)),
            },
        }
    }

    /// Describes that the log is not there, for operators.
    fn absence(&self) -> String {
        format!(
            "the server has no events in the stream {}; if it is the right server, restore the log \
             from a backup",
            self.name
        )
    }

    /// Appends the first event. Of several processes that try, one succeeds; the others are refused
    /// by the expectation, and all read the same event.
    async fn append_opening(&self) -> Result<(), Error> {
        let (event, epoch) = opening(&self.clock);
        let message = wire::encode(&self.market, epoch, &event);
        let mut headers = header_map(&message);
        headers.insert(EXPECTED_STREAM, self.name.as_str());
        headers.insert(EXPECTED_LAST_SEQUENCE, "0");

        let subject = event.subject.to_string();
        match self.publish(epoch, &subject, headers, message.body).await {
            AppendAnswer::Stored(_) | AppendAnswer::WrongLastSequence => Ok(()),
            other => Err(unavailable(format!(
                "the first event could not be appended: {other:?}"
            ))),
        }
    }
}
