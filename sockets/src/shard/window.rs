//! Windows of a conflated subscription: between their ends it is shown nothing, and at each end the last change of every
//! deal that changed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use backbone::time::Timestamp;
use live::{Change, ChangeKind, Conflation, FeedOffset, Shown};
use tokio::time::Instant;

/// The windows of one subscription.
pub(super) struct Window {
    length: Duration,
    /// End of the window that is open.
    ends: Option<Instant>,
    /// Offset up to which the window that has ended is read; beyond it is the next one's.
    pub(super) up_to: FeedOffset,
    /// Offset up to which it has been read.
    pub(super) cursor: FeedOffset,
    conflation: Conflation,
    /// Results of the window that has ended, yet to be written.
    pub(super) results: VecDeque<Shown>,
}

impl Window {
    /// Creates windows of this length for a subscription that begins at an offset.
    pub(super) fn new(length: Duration, begin: FeedOffset) -> Self {
        Self {
            length,
            ends: None,
            up_to: begin,
            cursor: begin,
            conflation: Conflation::default(),
            results: VecDeque::new(),
        }
    }

    /// Opens a window unless one is open. Returns the time until its end if it was opened.
    pub(super) fn open(&mut self, now: Timestamp) -> Option<Duration> {
        if self.ends.is_some() {
            return None;
        }

        let rest = until_end(now, self.length);
        self.ends = Some(Instant::now() + rest);
        Some(rest)
    }

    /// Returns the time until the open window's end.
    pub(super) fn rest(&self) -> Option<Duration> {
        let now = Instant::now();

        self.ends.map(|ends| ends.saturating_duration_since(now))
    }

    pub(super) fn is_open(&self) -> bool {
        self.ends.is_some()
    }

    /// Ends the window. It holds what follows the last one up to `place`.
    pub(super) fn close(&mut self, place: FeedOffset) {
        self.ends = None;
        // Never back: a subscription may have begun ahead of its shard.
        self.up_to = self.up_to.max(place);
    }

    /// Adds a change of the window that has ended.
    pub(super) fn add(&mut self, kind: ChangeKind, change: &Arc<Change>) {
        self.conflation.add(kind, change);
    }

    /// Returns whether the window that has ended is read.
    pub(super) fn is_read(&self) -> bool {
        self.cursor >= self.up_to
    }

    /// Makes what was read ready to be written.
    pub(super) fn finish(&mut self) {
        let conflation = std::mem::take(&mut self.conflation);

        self.results.extend(conflation.finish());
    }
}

/// Returns the time until the next multiple of `length` by the clock: windows of one length end at one time for
/// everybody, who then share their renderings.
fn until_end(now: Timestamp, length: Duration) -> Duration {
    let length = length.as_micros().max(1) as i64;
    let into = now.as_micros().rem_euclid(length);

    Duration::from_micros((length - into) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_end_at_multiples_of_their_length() {
        let at = |millis: i64| Timestamp::from_micros(millis * 1_000);
        let rest = |now, seconds| until_end(at(now), Duration::from_secs(seconds)).as_millis();

        assert_eq!(rest(60_000, 5), 5_000);
        assert_eq!(rest(61_250, 5), 3_750);
        assert_eq!(rest(64_999, 5), 1);
    }
}
