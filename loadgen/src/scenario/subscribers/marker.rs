//! Marker in the name of a changed deal, by which a pushed message is recognised and timed.

use std::time::Instant;

/// Number of a change, and the time at which it was sent.
///
/// As text: `m`, the number in six digits (1 to 999,999) and the microseconds since the start of
/// the run in twelve. The fixed length keeps all messages of a run equally long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::scenario) struct Marker {
    pub(in crate::scenario) number: u64,
    /// Microseconds from the start of the run until the change was sent.
    pub(in crate::scenario) sent_micros: u64,
}

impl Marker {
    /// Length of a marker's text, in bytes.
    // Six digits suffice for an hour of 250 changes per second, and twelve for eleven days.
    pub(super) const LENGTH: usize = 1 + Self::NUMBER_DIGITS + Self::TIME_DIGITS;

    const NUMBER_DIGITS: usize = 6;
    const TIME_DIGITS: usize = 12;

    /// Returns the text of a marker for a change that is sent now, in a run that started at the
    /// given time.
    pub(in crate::scenario) fn text(number: u64, started: Instant) -> String {
        format!("m{number:06}{:012}", started.elapsed().as_micros())
    }

    /// Finds a marker in a message.
    ///
    /// `hint` is the index at which the last marker was found, and is updated. Messages of one
    /// subscription are alike, so the next marker is nearly always at the same index; searching
    /// every message would cost more than reading it.
    pub(in crate::scenario) fn find(message: &[u8], hint: &mut usize) -> Option<Self> {
        // The text at the hint must be checked and not only parsed: the marker may have moved when
        // an id or a number before it changed its length.
        let at_hint = message.get(*hint..*hint + Self::LENGTH);
        if !at_hint.is_some_and(Self::matches) {
            *hint = message.windows(Self::LENGTH).position(Self::matches)?;
        }

        let digits = &message[*hint + 1..*hint + Self::LENGTH];
        let (number, sent_micros) = digits.split_at(Self::NUMBER_DIGITS);
        Some(Self {
            number: parse(number)?,
            sent_micros: parse(sent_micros)?,
        })
    }

    fn matches(window: &[u8]) -> bool {
        window[0] == b'm' && window[1..].iter().all(u8::is_ascii_digit)
    }
}

fn parse(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::Marker;

    #[test]
    fn marker_is_found_in_a_pushed_message_wherever_it_stands() {
        let mut hint = 0;
        let mut number =
            |text: &str| Marker::find(text.as_bytes(), &mut hint).map(|marker| marker.number);
        let text = |number| format!(r#"{{"name":"{}"}}"#, Marker::text(number, Instant::now()));

        assert_eq!(number(&text(17)), Some(17));
        assert_eq!(number(&text(18)), Some(18), "at the same index");
        assert_eq!(
            number(&format!("[{}]", text(19))),
            Some(19),
            "at another index"
        );
        assert_eq!(number("m00001700000000000"), None, "one digit is missing");
    }
}
