//! The marker in a change's name, and the verdict on what sockets saw of them.

use std::time::Instant;

use super::Order;

/// What a change is told apart by: `m`, its number up to 999,999, the microseconds since the run began.
pub(in crate::scenario) struct Marker;

impl Marker {
    pub(super) const LENGTH: usize = 19;

    pub(in crate::scenario) fn write(number: u64, begun: Instant) -> String {
        format!("m{number:06}{:012}", begun.elapsed().as_micros())
    }

    /// The number and the microseconds. It is looked for first where the last one stood, which `place` keeps: texts of
    /// one subscription are alike, and to search each costs more than to read it.
    pub(in crate::scenario) fn read(text: &[u8], place: &mut usize) -> Option<(u64, u64)> {
        let digits = |text: &[u8]| std::str::from_utf8(text).ok()?.parse().ok();
        if !text
            .get(*place..*place + Self::LENGTH)
            .is_some_and(Self::is_one)
        {
            *place = text.windows(Self::LENGTH).position(Self::is_one)?;
        }
        let found = &text[*place..];
        Some((digits(&found[1..7])?, digits(&found[7..Self::LENGTH])?))
    }

    fn is_one(window: &[u8]) -> bool {
        window[0] == b'm' && window[1..].iter().all(u8::is_ascii_digit)
    }
}

/// What was wrong with what each socket saw.
pub(super) fn judge(seen: &[Vec<u64>], changes: u64, order: Order) -> Vec<(&'static str, u64)> {
    let mut places = vec![None; changes as usize + 1];
    let mut place = |(at, number): (usize, u64)| {
        places[number as usize].get_or_insert(at);
    };
    match order {
        Order::ByNumber => (1..=changes).enumerate().for_each(&mut place),
        Order::AsTheFirst => seen
            .first()
            .into_iter()
            .flatten()
            .copied()
            .enumerate()
            .for_each(&mut place),
    }
    let (mut missing, mut doubled, mut unordered) = (0, 0, 0);
    for numbers in seen {
        let (mut found, mut furthest) = (vec![false; changes as usize + 1], 0);
        for number in numbers.iter().map(|number| *number as usize) {
            doubled += u64::from(std::mem::replace(&mut found[number], true));
            // One that the first has not seen has no place.
            let place = places[number].unwrap_or(furthest);
            unordered += u64::from(place < furthest);
            furthest = furthest.max(place);
        }
        missing += found[1..].iter().filter(|found| !**found).count() as u64;
    }
    vec![
        ("missing", missing),
        ("doubled", doubled),
        ("out of order", unordered),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{Marker, Order, judge};

    #[test]
    fn a_marker_is_found_in_what_is_pushed() {
        let mut place = 0;
        let mut number =
            |text: &str| Marker::read(text.as_bytes(), &mut place).map(|(number, _)| number);
        let text = |number| format!(r#"{{"name":"{}"}}"#, Marker::write(number, Instant::now()));
        assert_eq!(number(&text(17)), Some(17));
        assert_eq!(number(&text(18)), Some(18), "at the same place");
        assert_eq!(
            number(&format!("[{}]", text(19))),
            Some(19),
            "at another place"
        );
        assert_eq!(number("m00001700000000000"), None, "a digit is missing");
    }

    #[test]
    fn sockets_are_judged_by_number_or_by_the_first() {
        let faults = |seen: &[&[u64]], order| {
            let seen: Vec<Vec<u64>> = seen.iter().map(|numbers| numbers.to_vec()).collect();
            let faults = judge(&seen, 4, order).into_iter().map(|(_, count)| count);
            <[u64; 3]>::try_from(faults.collect::<Vec<_>>()).expect("three kinds")
        };
        use Order::{AsTheFirst, ByNumber};
        assert_eq!(faults(&[&[1, 2, 3, 4], &[1, 2, 3, 4]], ByNumber), [0, 0, 0]);
        assert_eq!(faults(&[&[2, 1, 3, 4], &[2, 1, 3, 4]], ByNumber), [0, 0, 2]);
        assert_eq!(
            faults(&[&[2, 1, 3, 4], &[2, 1, 3, 4]], AsTheFirst),
            [0, 0, 0]
        );
        assert_eq!(
            faults(&[&[2, 1, 3, 4], &[1, 2, 3, 4]], AsTheFirst),
            [0, 0, 1]
        );
        assert_eq!(
            faults(&[&[2, 1, 3, 4], &[2, 1, 1, 4]], AsTheFirst),
            [1, 1, 0]
        );
        assert_eq!(faults(&[&[1, 4], &[1, 2, 3, 4]], AsTheFirst), [2, 0, 0]);
    }
}
