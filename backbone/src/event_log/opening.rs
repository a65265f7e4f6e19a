//! The first event of a log, which gives the log its identity.

use super::record::{Record, Stored};
use crate::clock::Clock;
use crate::contract::{Event, Fact, Subject};
use crate::ids::EventId;
use crate::position::Epoch;
use crate::{Error, random};

/// Builds the first event of a new log, with a random epoch.
pub(super) fn opening(clock: &Clock) -> Event {
    Event {
        id: EventId(random::random_id()),
        subject: Subject::Opened,
        time: clock.now(),
        trace: None,
        fact: Fact::MarketOpened {
            epoch: Epoch(random::epoch()),
        },
    }
}

/// Returns the epoch in the first event of a log.
pub(super) fn epoch_of(first: Option<Stored>) -> Result<Epoch, Error> {
    let broken = |why: String| Error::broken("event log", why);
    let Some(first) = first else {
        return Err(broken("its first event is missing".to_owned()));
    };

    match Record::from(first).event {
        Ok(Event {
            fact: Fact::MarketOpened { epoch },
            ..
        }) => Ok(epoch),
        Ok(_) => Err(broken("its first event is not market.opened".to_owned())),
        Err(why) => Err(broken(format!("its first event cannot be decoded: {why}"))),
    }
}
