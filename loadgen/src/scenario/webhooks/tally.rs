//! The verdict on the calls that came to endpoints that answer.

use super::receiver::Call;
use crate::report::{Latencies, latencies};

/// What a run's calls come to.
pub(super) struct Tally {
    /// Deliveries that came, each once.
    pub(super) deliveries: u64,
    /// When the last of them came, in microseconds since the run began.
    pub(super) last: u64,
    /// How long the deliveries to the measured endpoints took.
    pub(super) latencies: Latencies,
    /// What was wrong, by name.
    pub(super) faults: Vec<(&'static str, u64)>,
}

/// Of endpoints that should each have been called once for each of so many changes; the first `measured` of them have
/// their latencies told, from when a change was made, or from a time, in microseconds since the run began.
pub(super) fn tally(
    calls: &[Vec<Call>],
    changes: u64,
    measured: usize,
    from: Option<u64>,
) -> Tally {
    let (mut took, mut deliveries, mut last) = (latencies(), 0, 0);
    let (mut again, mut twice, mut unknown) = (0, 0, 0);
    for (endpoint, calls) in calls.iter().enumerate() {
        let mut ids = vec![None; changes as usize];
        for call in calls {
            let place = call
                .number
                .checked_sub(1)
                .and_then(|place| ids.get_mut(place as usize));
            match place {
                Some(Some(id)) if *id == call.id => again += 1,
                Some(Some(_)) => twice += 1,
                None => unknown += 1,
                Some(first) => {
                    *first = Some(call.id);
                    (deliveries, last) = (deliveries + 1, last.max(call.arrived));
                    if endpoint < measured {
                        took.saturating_record(
                            call.arrived.saturating_sub(from.unwrap_or(call.made)),
                        );
                    }
                }
            }
        }
    }
    let missing = (calls.len() as u64 * changes).saturating_sub(deliveries);
    let faults = vec![
        ("deliveries that never came", missing),
        ("deliveries that came again", again),
        ("changes that came as two deliveries", twice),
        ("deliveries of no change of the run", unknown),
    ];
    Tally {
        deliveries,
        last,
        latencies: took,
        faults,
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{Call, tally};

    /// A call under an id, for the change of a number, made at 1,000 times that, which took so long.
    fn call(id: u128, number: u64, took: u64) -> Call {
        Call {
            id: Uuid::from_u128(id),
            number,
            made: 1_000 * number,
            arrived: 1_000 * number + took,
        }
    }

    #[test]
    fn each_endpoint_is_owed_each_change_once() {
        let faults = |calls: &[&[Call]]| {
            let calls: Vec<Vec<Call>> = calls.iter().map(|calls| calls.to_vec()).collect();
            tally(&calls, 2, 1, None)
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
    fn a_delivery_takes_until_its_first_call() {
        let calls = [
            vec![call(1, 1, 500), call(1, 1, 900)],
            vec![call(2, 1, 700)],
        ];
        let of_one = tally(&calls, 1, 1, None);
        assert_eq!((of_one.deliveries, of_one.last), (2, 1_700));
        assert_eq!((of_one.latencies.len(), of_one.latencies.max()), (1, 500));
        assert_eq!(tally(&calls, 1, 2, None).latencies.max(), 700);
        assert_eq!(tally(&calls, 1, 1, Some(1_400)).latencies.max(), 100);
    }
}
