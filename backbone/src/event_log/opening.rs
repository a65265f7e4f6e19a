//! The first event of a log, which gives the log its identity.

use super::record::Stored;
use crate::clock::Clock;
use crate::contract::{Event, Fact, Subject};
use crate::ids::EventId;
use crate::position::Epoch;
use crate::{Error, random};

/// Builds the first event of a new log with a random epoch, and returns both.
pub(super) fn opening(clock: &Clock) -> (Event, Epoch) {
    let epoch = Epoch(random::epoch());
    let event = Event {
        id: EventId(random::random_id()),
        subject: Subject::Opened,
        time: clock.now(),
        trace: None,
        fact: Fact::MarketOpened { epoch },
    };

    (event, epoch)
}

/// Builds the event that gives a log that has lost its end a new, random epoch.
pub(super) fn reopening(clock: &Clock) -> Event {
    let (opening, epoch) = opening(clock);

    Event {
        fact: Fact::MarketReopened { epoch },
        ..opening
    }
}

/// Returns the epoch in the event that opened or reopened a log.
///
/// # Errors
/// [`Error::Blocked`] if that is another event, or none: then this is no log of this project.
pub(super) fn epoch_of(opening: Option<Stored>) -> Result<Epoch, Error> {
    let not_ours = |why: String| Error::blocked("event log", why);
    let Some(opening) = opening else {
        return Err(not_ours("its first event is missing".to_owned()));
    };

    let sequence = opening.sequence;
    // The epochs are only known from these events, so none is required of them.
    match opening.decode(&[]).event {
        Ok(Event {
            fact: Fact::MarketOpened { epoch } | Fact::MarketReopened { epoch },
            ..
        }) => Ok(epoch),
        Ok(event) => Err(not_ours(format!(
            "event {sequence} is {}, but it should open the log",
            event.fact.event_type()
        ))),
        Err(why) => Err(not_ours(format!(
            "event {sequence}, which should open the log, cannot be decoded: {why}"
        ))),
    }
}
