//! Audit of the calls that arrived at answering endpoints: each must have been called once for each
//! change.

use uuid::Uuid;

use super::receiver::Call;
use crate::report::{Latencies, latencies};

/// Result of an audit.
pub(super) struct Audit {
    /// Number of deliveries that arrived, repeated calls not counted.
    pub(super) deliveries: u64,
    /// Microseconds from the start of the run until the last of them arrived.
    pub(super) last_micros: u64,
    /// Latencies of the deliveries to the measured endpoints.
    pub(super) latencies: Latencies,
    /// Number of faults by name.
    pub(super) faults: Vec<(&'static str, u64)>,
}

/// Relation of a call to the calls before it at the same endpoint.
enum Kind {
    /// First call for a change.
    Delivery,
    /// Another call under the same id, as after an answer that was lost.
    Repeated,
    /// Another id for a change that was delivered already.
    Duplicate,
    /// Call for a change that the run did not make.
    Unknown,
}

/// Audits the calls of each endpoint against the run's number of changes.
///
/// Latencies are taken at the first `measured` endpoints. They count from when a change was made
/// or, if given, from `deliverable_from`, in microseconds since the start of the run.
pub(super) fn audit(
    calls: &[Vec<Call>],
    changes: u64,
    measured: usize,
    deliverable_from: Option<u64>,
) -> Audit {
    let mut latencies = latencies();
    let mut deliveries = 0;
    let mut last_micros = 0;
    let mut repeated = 0;
    let mut duplicated = 0;
    let mut unknown = 0;

    for (endpoint, calls) in calls.iter().enumerate() {
        // Endpoints are audited one by one, since each must be called for every change.
        let mut ids = vec![None; changes as usize];

        for call in calls {
            match classify(call, &mut ids) {
                Kind::Repeated => repeated += 1,
                Kind::Duplicate => duplicated += 1,
                Kind::Unknown => unknown += 1,
                Kind::Delivery => {
                    deliveries += 1;
                    last_micros = last_micros.max(call.arrived_micros);

                    if endpoint < measured {
                        // After a pause, the time since the change would measure how long the pause
                        // was.
                        let from = deliverable_from.unwrap_or(call.made_micros);
                        latencies.saturating_record(call.arrived_micros.saturating_sub(from));
                    }
                }
            }
        }
    }

    // Repeated calls are legitimate where an answer got lost, as delivery is at least once. No
    // answer gets lost on this machine, so they count as faults here.
    let missing = (calls.len() as u64 * changes).saturating_sub(deliveries);
    Audit {
        deliveries,
        last_micros,
        latencies,
        faults: vec![
            ("deliveries that never arrived", missing),
            ("deliveries that arrived again", repeated),
            ("changes that arrived as two deliveries", duplicated),
            ("deliveries of changes that the run did not make", unknown),
        ],
    }
}

/// Classifies a call, and notes its id if it is the first for its change. `ids` holds the first id
/// of each change, from change 1 on.
fn classify(call: &Call, ids: &mut [Option<Uuid>]) -> Kind {
    let id = call
        .number
        .checked_sub(1)
        .and_then(|index| ids.get_mut(index as usize));

    match id {
        None => Kind::Unknown,
        Some(Some(known)) if *known == call.id => Kind::Repeated,
        Some(Some(_)) => Kind::Duplicate,
        Some(first) => {
            *first = Some(call.id);
            Kind::Delivery
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{Call, audit};

    /// Returns a call for the change with the given number, made at 1,000 µs times that number,
    /// which arrived `latency` µs later.
    fn call(id: u128, number: u64, latency: u64) -> Call {
        Call {
            id: Uuid::from_u128(id),
            number,
            made_micros: 1_000 * number,
            arrived_micros: 1_000 * number + latency,
        }
    }

    #[test]
    fn audit_expects_each_change_once_at_each_endpoint() {
        let faults = |calls: &[&[Call]]| {
            let calls: Vec<Vec<Call>> = calls.iter().map(|calls| calls.to_vec()).collect();
            audit(&calls, 2, 1, None)
                .faults
                .into_iter()
                .map(|(_, count)| count)
                .collect::<Vec<_>>()
        };

        assert_eq!(
            faults(&[
                &[call(1, 1, 5), call(2, 2, 5)],
                &[call(3, 2, 5), call(4, 1, 5)]
            ]),
            [0, 0, 0, 0]
        );
        assert_eq!(faults(&[&[call(1, 1, 5)], &[]]), [3, 0, 0, 0]);
        assert_eq!(
            faults(&[&[call(1, 1, 5), call(2, 2, 5), call(1, 1, 9)]]),
            [0, 1, 0, 0]
        );
        assert_eq!(
            faults(&[&[call(1, 1, 5), call(2, 2, 5), call(3, 1, 9)]]),
            [0, 0, 1, 0]
        );
        assert_eq!(
            faults(&[&[call(1, 1, 5), call(2, 2, 5), call(3, 3, 5), call(4, 0, 5)]]),
            [0, 0, 0, 2]
        );
    }

    #[test]
    fn latency_of_a_delivery_ends_with_its_first_call() {
        let calls = [
            vec![call(1, 1, 500), call(1, 1, 900)],
            vec![call(2, 1, 700)],
        ];

        let of_one = audit(&calls, 1, 1, None);
        assert_eq!((of_one.deliveries, of_one.last_micros), (2, 1_700));
        assert_eq!((of_one.latencies.len(), of_one.latencies.max()), (1, 500));

        assert_eq!(audit(&calls, 1, 2, None).latencies.max(), 700);
        assert_eq!(audit(&calls, 1, 1, Some(1_400)).latencies.max(), 100);
    }
}
