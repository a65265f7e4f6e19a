//! Check of what subscribers saw: every change once, and all subscribers in the same order.

use std::collections::HashSet;

/// Order in which every subscriber must see the changes.
#[derive(Clone, Copy)]
pub(in crate::scenario) enum ExpectedOrder {
    /// Order of the numbers: each change was made after the one before it was acknowledged.
    Sequential,
    /// Order in which the first subscriber saw them: several were made at once, and the log alone
    /// decided their order.
    AsFirstSubscriber,
}

/// Counts changes that were missing, duplicated or out of order, over all subscribers. `seen`
/// holds, for each subscriber, the numbers of the changes in the order of their arrival, from 1 to
/// `changes`.
pub(super) fn faults(
    seen: &[Vec<u64>],
    changes: u64,
    order: ExpectedOrder,
) -> Vec<(&'static str, u64)> {
    let positions = expected_positions(seen, changes, order);
    let mut missing = 0;
    let mut duplicated = 0;
    let mut out_of_order = 0;

    for numbers in seen {
        let mut found = HashSet::with_capacity(numbers.len());
        let mut furthest = 0;

        for number in numbers {
            duplicated += u64::from(!found.insert(*number));

            // A change that the first subscriber missed has no position. It counts as missing
            // there, and not as out of order here.
            let position = positions[*number as usize].unwrap_or(furthest);
            out_of_order += u64::from(position < furthest);
            furthest = furthest.max(position);
        }

        missing += changes - found.len() as u64;
    }

    vec![
        ("missing", missing),
        ("duplicated", duplicated),
        ("out of order", out_of_order),
    ]
}

/// Returns the expected position of each change, by its number.
fn expected_positions(seen: &[Vec<u64>], changes: u64, order: ExpectedOrder) -> Vec<Option<usize>> {
    let expected: Vec<u64> = match order {
        ExpectedOrder::Sequential => (1..=changes).collect(),
        ExpectedOrder::AsFirstSubscriber => seen.first().cloned().unwrap_or_default(),
    };

    let mut positions = vec![None; changes as usize + 1];
    for (position, number) in expected.into_iter().enumerate() {
        // A duplicate at the first subscriber must not move the position of the first arrival.
        positions[number as usize].get_or_insert(position);
    }
    positions
}

#[cfg(test)]
mod tests {
    use super::ExpectedOrder::{AsFirstSubscriber, Sequential};
    use super::{ExpectedOrder, faults};

    /// Returns the numbers of missing, duplicated and misordered changes among four.
    fn counts(seen: &[&[u64]], order: ExpectedOrder) -> [u64; 3] {
        let seen: Vec<Vec<u64>> = seen.iter().map(|numbers| numbers.to_vec()).collect();
        let counts = faults(&seen, 4, order).into_iter().map(|(_, count)| count);
        <[u64; 3]>::try_from(counts.collect::<Vec<_>>()).expect("there are three kinds of faults")
    }

    #[test]
    fn order_by_number_is_checked_at_every_subscriber() {
        assert_eq!(
            counts(&[&[1, 2, 3, 4], &[1, 2, 3, 4]], Sequential),
            [0, 0, 0]
        );
        assert_eq!(
            counts(&[&[2, 1, 3, 4], &[2, 1, 3, 4]], Sequential),
            [0, 0, 2]
        );
    }

    #[test]
    fn order_of_the_first_subscriber_is_expected_of_the_others() {
        assert_eq!(
            counts(&[&[2, 1, 3, 4], &[2, 1, 3, 4]], AsFirstSubscriber),
            [0, 0, 0]
        );
        assert_eq!(
            counts(&[&[2, 1, 3, 4], &[1, 2, 3, 4]], AsFirstSubscriber),
            [0, 0, 1]
        );
    }

    #[test]
    fn missing_and_duplicated_changes_are_counted() {
        assert_eq!(
            counts(&[&[2, 1, 3, 4], &[2, 1, 1, 4]], AsFirstSubscriber),
            [1, 1, 0]
        );
        assert_eq!(
            counts(&[&[1, 4], &[1, 2, 3, 4]], AsFirstSubscriber),
            [2, 0, 0]
        );
    }
}
