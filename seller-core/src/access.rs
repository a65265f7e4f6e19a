//! The rules of access: a seller grants it to a buyer, or takes it back. What is so already is not said again.

use backbone::contract::{AccessCause, AccessFact, Applied, Recent};
use backbone::time::Timestamp;
use backbone::write_path::Mutation;

use crate::Refusal;

/// The fact that grants access; `None` when the buyer has it.
pub(crate) fn grant(
    last: Option<&AccessFact>,
    mutation: &Mutation,
    now: Timestamp,
) -> Option<AccessFact> {
    match last {
        Some(last) if last.granted => None,
        last => Some(fact(last, AccessCause::Granted, now, mutation)),
    }
}

/// The fact that revokes access; `None` when it is revoked.
///
/// # Errors
/// [`Refusal::NotFound`] when there never was any: there is nothing to say about such a pair.
pub(crate) fn revoke(
    last: Option<&AccessFact>,
    mutation: &Mutation,
) -> Result<Option<AccessFact>, Refusal> {
    match last {
        None => Err(Refusal::NotFound),
        Some(last) if !last.granted => Ok(None),
        Some(held) => Ok(Some(fact(last, AccessCause::Revoked, held.since, mutation))),
    }
}

fn fact(
    last: Option<&AccessFact>,
    cause: AccessCause,
    since: Timestamp,
    mutation: &Mutation,
) -> AccessFact {
    let revision = last.map_or(1, |last| last.revision + 1);
    let applied: Applied = mutation.applied(u32::try_from(revision).unwrap_or(u32::MAX));
    AccessFact {
        cause,
        revision,
        granted: cause == AccessCause::Granted,
        since,
        recent: match last {
            Some(last) => last.recent.then(applied),
            None => Recent::first(applied),
        },
    }
}

#[cfg(test)]
mod tests {
    use backbone::contract::{Fingerprint, Subject};
    use backbone::ids::{BuyerId, EventId, SellerId};
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000);
    const LATER: Timestamp = Timestamp::from_micros(2_000);

    fn mutation(number: u128) -> Mutation {
        let (seller, buyer) = (SellerId(Uuid::from_u128(1)), BuyerId(Uuid::from_u128(2)));
        Mutation {
            subject: Subject::Access { seller, buyer },
            event_id: EventId(Uuid::from_u128(number)),
            key: None,
            request: Fingerprint::of(b"request"),
            trace: None,
            begins: false,
        }
    }

    #[test]
    fn access_is_granted_revoked_and_granted_anew() {
        let first = grant(None, &mutation(10), NOW).expect("there was none");
        assert_eq!(
            (first.cause, first.revision, first.granted, first.since),
            (AccessCause::Granted, 1, true, NOW)
        );
        let gone = revoke(Some(&first), &mutation(11))
            .unwrap()
            .expect("there was access");
        assert_eq!(
            (gone.cause, gone.revision, gone.granted, gone.since),
            (AccessCause::Revoked, 2, false, NOW)
        );
        let again = grant(Some(&gone), &mutation(12), LATER).expect("it was revoked");
        assert_eq!(
            (again.revision, again.granted, again.since),
            (3, true, LATER)
        );
        for number in 10..=12 {
            assert!(
                again.recent.find(mutation(number).event_id).is_some(),
                "{number} is remembered"
            );
        }
    }

    #[test]
    fn what_is_so_already_is_not_said_again() {
        let held = grant(None, &mutation(10), NOW).expect("there was none");
        assert_eq!(grant(Some(&held), &mutation(11), LATER), None);
        let gone = revoke(Some(&held), &mutation(11))
            .unwrap()
            .expect("there was access");
        assert_eq!(revoke(Some(&gone), &mutation(12)), Ok(None));
        assert_eq!(revoke(None, &mutation(10)), Err(Refusal::NotFound));
    }
}
