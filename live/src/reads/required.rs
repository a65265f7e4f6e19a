//! Positions that an answer must not be older than.

use backbone::deal_table::Window;
use backbone::position::{Epoch, Position, Sequence};
use smallvec::SmallVec;

use crate::error::ReadError;

/// The newest position that a gateway has answered with.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen(Option<Position>);

impl Seen {
    /// Takes note of an answer.
    pub(super) fn raise(&mut self, position: Position) {
        // Sequences of two logs do not compare: the log of the tables is the market's from now on.
        let is_newer = self
            .0
            .is_none_or(|seen| seen.epoch != position.epoch || seen.sequence < position.sequence);

        if is_newer {
            self.0 = Some(position);
        }
    }
}

/// Positions that an answer must not be older than.
#[derive(Debug)]
pub(super) struct Required {
    /// Positions that the caller names, each with the argument that names it.
    named: SmallVec<[(&'static str, Position); 3]>,
    seen: Seen,
}

impl Required {
    pub(super) fn new(min_position: Option<Position>, window: Option<&Window>, seen: Seen) -> Self {
        let shown_at = |cursor: Option<backbone::deal_table::Cursor>| cursor?.shown_at;
        let after = window.and_then(|window| shown_at(window.after));
        let before = window.and_then(|window| shown_at(window.before));

        let named = [
            ("minPosition", min_position),
            ("after", after),
            ("before", before),
        ];
        let named = named
            .into_iter()
            .filter_map(|(argument, position)| Some((argument, position?)));

        Self {
            named: named.collect(),
            seen,
        }
    }

    /// Returns whether an answer that shows a position is new enough.
    ///
    /// # Errors
    /// [`ReadError::OtherLog`] if the caller names a position of another log.
    pub(super) fn admits(&self, position: Position) -> Result<bool, ReadError> {
        // Tables of epoch 0 have read nothing yet, so they cannot tell whether a position is of their market.
        let is_known = position.epoch.0 != 0;
        let other = self
            .named
            .iter()
            .find(|(_, named)| is_known && named.epoch != position.epoch);
        if let Some((argument, _)) = other {
            return Err(ReadError::OtherLog { argument });
        }

        Ok(position.sequence >= self.sequence(position.epoch))
    }

    /// Returns the sequence that an answer from the log of this epoch must have reached.
    pub(super) fn sequence(&self, epoch: Epoch) -> Sequence {
        let named = self.named.iter().map(|(_, position)| position.sequence);
        let seen = self.seen.0.filter(|seen| seen.epoch == epoch);

        named
            .chain(seen.map(|seen| seen.sequence))
            .max()
            .unwrap_or(0)
    }

    /// Returns the sequence that an answer from any log must have reached.
    pub(super) fn highest(&self) -> Sequence {
        let named = self.named.iter().map(|(_, position)| position.sequence);

        named
            .chain(self.seen.0.map(|seen| seen.sequence))
            .max()
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use backbone::deal_table::{Cursor, DealKey};

    use super::*;

    const EPOCH: Epoch = Epoch(5);

    fn at(sequence: Sequence) -> Position {
        Position::end_of(EPOCH, sequence)
    }

    fn seen(sequence: Sequence) -> Seen {
        Seen(Some(at(sequence)))
    }

    #[test]
    fn required_position_is_the_newest_of_all_positions() {
        let window = Window {
            limit: 1,
            backwards: false,
            after: Some(Cursor::new(DealKey::Change(3), at(8))),
            before: Some(Cursor {
                key: DealKey::Change(1),
                shown_at: None,
            }),
        };
        let admits = |min, window, seen, position: Sequence| {
            Required::new(min, window, seen)
                .admits(at(position))
                .expect("one log")
        };

        assert!(admits(None, None, Seen::default(), 0));
        assert!(admits(Some(at(7)), None, seen(6), 7));
        assert!(!admits(Some(at(7)), None, seen(6), 6));
        assert!(!admits(Some(at(7)), Some(&window), seen(6), 7));
        assert!(admits(Some(at(7)), Some(&window), seen(6), 8));
        assert!(!admits(Some(at(7)), Some(&window), seen(9), 8));
    }

    #[test]
    fn positions_of_another_log_are_told_by_their_argument() {
        let other = Position::end_of(Epoch(6), 1);
        let named = Required::new(Some(other), None, Seen::default());
        assert!(matches!(
            named.admits(at(1)),
            Err(ReadError::OtherLog {
                argument: "minPosition"
            })
        ));

        let unread = Position::end_of(Epoch(0), 0);
        assert!(!named.admits(unread).expect("its market is unknown"));

        // What was answered from a log that has been replaced holds nobody up.
        let mut seen = seen(9);
        let reopened = Required::new(Some(other), None, seen);
        assert!(reopened.admits(other).expect("one log"));
        seen.raise(other);
        assert_eq!(seen.0, Some(other));
    }
}
