//! The rules of access: a seller grants it to a buyer, or revokes it. A mutation that would leave
//! access as it is makes no event.

use backbone::contract::{AccessCause, AccessFact, Applied, Recent};
use backbone::time::Timestamp;
use backbone::write_path::Mutation;

use crate::refusal::Refusal;

/// Returns the fact that grants access, or `None` when the buyer has it already.
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

/// Returns the fact that revokes access, or `None` when it is revoked already.
///
/// # Errors
/// [`Refusal::NotFound`] when the seller never granted the buyer access.
pub(crate) fn revoke(
    last: Option<&AccessFact>,
    mutation: &Mutation,
) -> Result<Option<AccessFact>, Refusal> {
    match last {
        None => Err(Refusal::NotFound),
        Some(last) if !last.granted => Ok(None),
        // `since` stays the time of the grant: it says how long the buyer had access.
        Some(granted) => {
            let since = granted.since;
            Ok(Some(fact(last, AccessCause::Revoked, since, mutation)))
        }
    }
}

fn fact(
    last: Option<&AccessFact>,
    cause: AccessCause,
    since: Timestamp,
    mutation: &Mutation,
) -> AccessFact {
    let revision = last.map_or(1, |last| last.revision + 1);

    // Access has no version of its own, so a remembered mutation carries the revision in its place.
    let version = u32::try_from(revision).unwrap_or(u32::MAX);
    let applied: Applied = mutation.applied(version);

    AccessFact {
        cause,
        revision,
        granted: cause == AccessCause::Granted,
        since,
        recent: match last {
            Some(last) => last.recent.then(applied.clone()),
            None => Recent::first(applied.clone()),
        },
        mutation: Some(applied),
        operator: None,
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
        let seller = SellerId(Uuid::from_u128(1));
        let buyer = BuyerId(Uuid::from_u128(2));

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
    fn access_is_granted_revoked_and_granted_again() {
        let first = grant(None, &mutation(10), NOW).expect("there was none");
        assert_eq!(
            (first.cause, first.revision, first.granted, first.since),
            (AccessCause::Granted, 1, true, NOW)
        );

        let revoked = revoke(Some(&first), &mutation(11))
            .unwrap()
            .expect("there was access");
        assert_eq!(
            (
                revoked.cause,
                revoked.revision,
                revoked.granted,
                revoked.since
            ),
            (AccessCause::Revoked, 2, false, NOW)
        );

        let again = grant(Some(&revoked), &mutation(12), LATER).expect("it was revoked");
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
    fn access_that_is_already_as_requested_makes_no_fact() {
        let granted = grant(None, &mutation(10), NOW).expect("there was none");
        assert_eq!(grant(Some(&granted), &mutation(11), LATER), None);

        let revoked = revoke(Some(&granted), &mutation(11))
            .unwrap()
            .expect("there was access");
        assert_eq!(revoke(Some(&revoked), &mutation(12)), Ok(None));
        assert_eq!(revoke(None, &mutation(10)), Err(Refusal::NotFound));
    }
}
