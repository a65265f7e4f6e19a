//! One subscription of a shard: where it stands in the feed, and what it reads next.

use std::sync::Arc;
use std::time::Duration;

use backbone::clock::Clock;
use backbone::lifecycle::OwnedTask;
use backbone::position::Position;
use live::{Change, Changes, Feed, FeedOffset, Read, Subscriber};

use super::batch::Batch;
use super::renderings::{Rendering, Renderings};
use super::scratch::{Scratch, Step, Wire};
use super::window::Window;
use super::{SocketKey, SubscriptionKey};

/// Slices of the ring that one turn of a subscription reads at most, each of up to 64 changes: one that skips much, as
/// one that catches up does, must not keep its shard from others.
const SLICES_IN_A_ROW: usize = 8;

/// One subscription.
pub(super) struct Subscription {
    pub(super) socket: SocketKey,
    pub(super) subscriber: Box<Subscriber>,
    wire: Wire,
    /// Offset up to which everything is written. At the tip, the subscription has also seen what the shard has read, as
    /// far as it concerns nobody of its topics.
    pub(super) offset: FeedOffset,
    /// Offset of the last result, or where the subscription began.
    last_result: FeedOffset,
    pub(super) reading: Reading,
    /// Changes of the shard's batch that concern the subscription, as bits.
    due: u64,
    /// Windows of a conflated subscription.
    window: Option<Box<Window>>,
}

/// Meaning of a change for a subscription.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// Nothing now.
    Nothing,
    /// The subscription wants to be filled.
    Due,
    /// The subscription wants its window to end after this time.
    Window(Duration),
}

/// Source that a subscription reads.
pub(super) enum Reading {
    /// The shard's batches.
    Tip,
    /// The ring, from its own offset.
    Ring,
    /// Nothing until a read of the feed's table is done.
    Table { _task: OwnedTask },
    /// Changes that were read from the table, and the offset to which they lead.
    Slice(Changes, FeedOffset),
}

/// Need of a subscription after its turn.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing until the shard reads more.
    Nothing,
    /// Another turn.
    Turn,
    /// A read of the feed's table, as the ring begins after the event with this sequence.
    Table(u64),
    /// A look at its window after this time.
    Window(Duration),
}

/// Everything that a subscription is filled from and into.
pub(super) struct Filling<'a> {
    pub(super) feed: &'a Feed,
    pub(super) clock: &'a Clock,
    pub(super) batch: &'a Batch,
    /// Offset up to which the shard has read.
    pub(super) place: FeedOffset,
    pub(super) renderings: &'a mut Renderings,
    pub(super) scratch: &'a mut Scratch,
}

impl Subscription {
    /// Creates a subscription that begins where its subscriber does; `place` is where the shard is.
    pub(super) fn new(
        socket: SocketKey,
        subscriber: Box<Subscriber>,
        wire: Wire,
        place: FeedOffset,
    ) -> Self {
        let begin = subscriber.begin();
        let new_window = |length| {
            let mut window = Window::new(length, begin);
            // What a client has missed is the first window, which ends at once.
            window.close(place);
            Box::new(window)
        };

        Self {
            socket,
            window: subscriber.conflate().map(new_window),
            subscriber,
            wire,
            offset: begin,
            last_result: begin,
            reading: if begin >= place {
                Reading::Tip
            } else {
                Reading::Ring
            },
            due: 0,
        }
    }

    /// Notes a change of the shard's batch.
    pub(super) fn note(&mut self, index: usize, change: &Change, clock: &Clock) -> Noted {
        // A subscription behind the shard reads it by itself, and one that read ahead has seen it.
        if !matches!(self.reading, Reading::Tip) || change.order() <= self.offset {
            return Noted::Nothing;
        }

        match &mut self.window {
            None => {
                self.due |= 1 << index;
                Noted::Due
            }
            Some(window) => window
                .open(clock.now())
                .map_or(Noted::Nothing, Noted::Window),
        }
    }

    /// Ends the window if it is over. Returns the time until its end if it is not.
    pub(super) fn end_window(&mut self, place: FeedOffset) -> Option<Duration> {
        let window = self.window.as_mut()?;
        let rest = window.rest()?;
        if !rest.is_zero() {
            return Some(rest);
        }

        window.close(place);
        if matches!(self.reading, Reading::Tip) {
            self.reading = Reading::Ring;
        }
        None
    }

    /// Makes the subscription read by itself from where it stands, `place` if it has seen all that the shard has read.
    pub(super) fn fall_behind(&mut self, place: FeedOffset) {
        if matches!(self.reading, Reading::Tip) {
            self.offset = self.offset.max(place);
            self.reading = Reading::Ring;
        }
        self.due = 0;
    }

    /// Makes the subscription read what it was to be shown of the batch by itself, later.
    pub(super) fn postpone(&mut self, batch: &Batch) {
        if self.due != 0 {
            self.fall_behind(batch.before(self.due.trailing_zeros() as usize));
        }
    }

    /// Returns whether the subscription has seen everything up to `place`, where the shard is.
    pub(super) fn is_caught_up(&self, place: FeedOffset) -> bool {
        // One that came from a gateway ahead of this one is beyond it: to resume from there would repeat changes.
        let waits = self.window.as_ref().is_some_and(|window| window.is_open());

        matches!(self.reading, Reading::Tip) && self.due == 0 && !waits && self.offset <= place
    }

    /// Adds what can be written now to the scratch.
    pub(super) fn fill(&mut self, key: SubscriptionKey, filling: &mut Filling<'_>) -> Need {
        if let Some(mut window) = self.window.take() {
            let need = self.fill_from_window(key, filling, &mut window);
            self.window = Some(window);
            return need;
        }

        match std::mem::replace(&mut self.reading, Reading::Ring) {
            Reading::Tip => {
                self.reading = Reading::Tip;
                self.fill_from_batch(key, filling)
            }
            Reading::Ring => self.fill_from_ring(key, filling),
            Reading::Slice(changes, reached) => {
                // Cut off or not, the ring is asked next, and leads back to the table if need be.
                let mut cursor = self.offset;
                self.fill_from_slice(key, filling, &changes, &mut cursor, reached);
                Need::Turn
            }
            table @ Reading::Table { .. } => {
                self.reading = table;
                Need::Nothing
            }
        }
    }

    fn fill_from_batch(&mut self, key: SubscriptionKey, filling: &mut Filling<'_>) -> Need {
        while self.due != 0 {
            let index = self.due.trailing_zeros() as usize;
            if filling.scratch.is_full() {
                self.postpone(filling.batch);
                return Need::Turn;
            }

            // The changes between two that are due concern others, and need not be seen again.
            let before = filling.batch.before(index);
            self.fill_change(key, filling, filling.batch.change(index), before);
            self.due &= self.due - 1;
        }

        Need::Nothing
    }

    fn fill_from_ring(&mut self, key: SubscriptionKey, filling: &mut Filling<'_>) -> Need {
        let mut cursor = self.offset;

        for _ in 0..SLICES_IN_A_ROW {
            // Read anew for each slice: the ring may have moved on, and a lock that is held would delay its writer.
            match filling.feed.read(cursor) {
                Read::Changes(changes, reached) if changes.is_empty() => {
                    self.push_step(key, filling, cursor, reached);
                    return Need::Nothing;
                }
                Read::Changes(changes, reached) => {
                    if !self.fill_from_slice(key, filling, &changes, &mut cursor, reached) {
                        return Need::Turn;
                    }
                }
                // What was filled is written first: the table is read from there.
                Read::Behind(_) if cursor > self.offset => return Need::Turn,
                Read::Behind(floor) => return Need::Table(floor),
                Read::NotLoaded => return Need::Nothing,
            }
        }

        Need::Turn
    }

    /// Fills from changes that lead to `reached`. Returns false if not all of them fitted.
    fn fill_from_slice(
        &mut self,
        key: SubscriptionKey,
        filling: &mut Filling<'_>,
        changes: &[Arc<Change>],
        cursor: &mut FeedOffset,
        reached: FeedOffset,
    ) -> bool {
        for change in changes {
            if filling.scratch.is_full() {
                return false;
            }
            if self.fill_change(key, filling, change, *cursor) {
                *cursor = change.order();
            }
        }

        self.push_step(key, filling, *cursor, reached);
        *cursor = reached;
        true
    }

    /// Adds a change if the subscription is shown it. Returns whether it is.
    fn fill_change(
        &mut self,
        key: SubscriptionKey,
        filling: &mut Filling<'_>,
        change: &Arc<Change>,
        before: FeedOffset,
    ) -> bool {
        // Decided now and not when the change was noted: access is judged by the change's own sequence, so it makes no
        // difference, and a change that is never written costs nothing.
        let Some(kind) = self.subscriber.kind(change) else {
            return false;
        };

        let Filling {
            feed,
            renderings,
            scratch,
            ..
        } = filling;
        let rendering = renderings.get(feed, &self.subscriber, kind, change);
        self.push_result(key, scratch, rendering, before, change.order());
        true
    }

    fn push_result(
        &self,
        key: SubscriptionKey,
        scratch: &mut Scratch,
        rendering: &Rendering,
        before: FeedOffset,
        after: FeedOffset,
    ) {
        let previous = self.wire.tells_positions().then(|| {
            let (sequence, index) = scratch.last_result_of(key).unwrap_or(self.last_result);
            let epoch = self.subscriber.epoch();

            Position {
                epoch,
                sequence,
                index,
            }
        });
        scratch.push_result(&self.wire, rendering, previous);

        scratch.steps.push(Step {
            subscription: key,
            end: scratch.bytes.len(),
            before,
            after,
            is_result: true,
        });
    }

    fn push_step(
        &self,
        key: SubscriptionKey,
        filling: &mut Filling<'_>,
        before: FeedOffset,
        after: FeedOffset,
    ) {
        filling.scratch.steps.push(Step {
            subscription: key,
            end: filling.scratch.bytes.len(),
            before,
            after,
            is_result: false,
        });
    }

    fn fill_from_window(
        &mut self,
        key: SubscriptionKey,
        filling: &mut Filling<'_>,
        window: &mut Window,
    ) -> Need {
        if window.results.is_empty() {
            if matches!(self.reading, Reading::Tip | Reading::Table { .. }) {
                return Need::Nothing;
            }

            // A window is folded as a whole before anything of it is written: its last change may be the next one.
            match self.read_window(filling, window) {
                Some(need) => return need,
                None => window.finish(),
            }
        }

        let mut before = self.offset;
        for shown in &window.results {
            if filling.scratch.is_full() {
                return Need::Turn;
            }

            let rendering = Renderings::render(filling.feed, &self.subscriber, shown);
            self.push_result(
                key,
                filling.scratch,
                &rendering,
                before,
                shown.change.order(),
            );
            before = shown.change.order();
        }

        self.push_step(key, filling, before, window.up_to);
        // What the shard has read since the window's end is in the next one.
        let next = if filling.place > window.up_to {
            window.open(filling.clock.now())
        } else {
            None
        };
        next.map_or(Need::Nothing, Need::Window)
    }

    /// Reads what the window that has ended holds. Returns what is needed before the rest can be read.
    fn read_window(&mut self, filling: &Filling<'_>, window: &mut Window) -> Option<Need> {
        for _ in 0..SLICES_IN_A_ROW {
            if window.is_read() {
                return None;
            }

            let slice = match std::mem::replace(&mut self.reading, Reading::Ring) {
                Reading::Slice(changes, reached) => (changes, reached),
                _ => match filling.feed.read(window.cursor) {
                    Read::Changes(changes, reached) => (changes, reached),
                    Read::Behind(floor) => return Some(Need::Table(floor)),
                    Read::NotLoaded => return Some(Need::Nothing),
                },
            };

            let (changes, reached) = slice;
            let up_to = window.up_to;
            for change in changes.iter().filter(|change| change.order() <= up_to) {
                if let Some(kind) = self.subscriber.kind(change) {
                    window.add(kind, change);
                }
            }
            // What lies beyond the window's end is read again with the next one.
            window.cursor = reached.min(window.up_to);
        }

        Some(Need::Turn)
    }

    /// Returns the offset from which the feed's table is to be read.
    pub(super) fn read_from(&self) -> FeedOffset {
        match &self.window {
            Some(window) => window.cursor,
            None => self.offset,
        }
    }

    /// Takes note of a step that was written.
    pub(super) fn advance(&mut self, step: &Step, place: FeedOffset) {
        self.offset = step.after;
        if step.is_result {
            self.last_result = step.after;
            // Kept until here, since a result that was not written is written later.
            if let Some(window) = &mut self.window {
                window.results.pop_front();
            }
        }

        // Whatever the shard reads from here on concerns the subscription only if it is newer than this. A window that is
        // written is followed by the next one, whatever lies between.
        let is_window_written = self.window.is_some() && !step.is_result;
        if matches!(self.reading, Reading::Ring) && (self.offset >= place || is_window_written) {
            self.reading = Reading::Tip;
        }
    }

    /// Goes back to before a step that was not written.
    pub(super) fn go_back(&mut self, step: &Step) {
        self.offset = step.before;
        self.reading = Reading::Ring;
    }
}
