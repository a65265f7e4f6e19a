//! The rules of access: a seller grants it to a buyer, or takes it back. What is so already is not said again.

use backbone::contract::{AccessCause, AccessFact, Applied, Recent};
use backbone::time::Timestamp;
use backbone::write_path::Mutation;

use crate::Refusal;

/// The fact that grants access; `None` when the buyer has it.
pub(crate) fn grant(last: Option<&AccessFact>, mutation: &Mutation, now: Timestamp) -> Option<AccessFact> {
    match last {
        Some(last) if last.granted => None,
        last => Some(fact(last, AccessCause::Granted, now, mutation)),
    }
}

/// The fact that revokes access; `None` when it is revoked.
///
/// # Errors
/// [`Refusal::NotFound`] when there never was any: there is nothing to say about such a pair.
pub(crate) fn revoke(last: Option<&AccessFact>, mutation: &Mutation) -> Result<Option<AccessFact>, Refusal> {
    match last {
        None => Err(Refusal::NotFound),
        Some(last) if !last.granted => Ok(None),
        Some(held) => Ok(Some(fact(last, AccessCause::Revoked, held.since, mutation))),
    }
}

fn fact(last: Option<&AccessFact>, cause: AccessCause, since: Timestamp, mutation: &Mutation) -> AccessFact {
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
