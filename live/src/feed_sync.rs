//! The task that keeps the ring complete, from the live bus or from the feed's table.
//!
//! The live bus is a hint. A notification that follows the tip is appended as it comes. A gap, a lost connection, a full
//! queue, silence, or tables that are ahead of the tip all lead to the same thing: the table is read on from the tip.

use std::sync::Arc;
use std::time::Duration;

use backbone::Error;
use backbone::health::Part;
use backbone::live_bus::{BusEvent, BusReceiver};
use backbone::position::{Position, Sequence};
use backbone::projection::Checkpoint;
use buyer_core::feed::{Change, FeedRange};
use buyer_core::notification::Notification;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::backlog::BLOCK;
use crate::feed::{Feed, SyncState};

/// Time between two checks of the table while the live bus works: the longest that a lost notification can go unnoticed.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Time between two checks while the live bus is disconnected or the last check failed, when the table is the only
/// source.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Longest that one check may take, reading on included. The next one continues from where it came to.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// Changes that one read of the table asks for.
const PAGE: u32 = 500;

/// Time that the batch behind a heartbeat is given to arrive before the table is read: the two may overtake each other
/// on the way.
const REORDER_WINDOW: Duration = Duration::from_millis(30);

/// Time that a batch which a regular check has found in the table is given to arrive by itself.
const ARRIVAL_WINDOW: Duration = Duration::from_millis(100);

/// Keeps the ring complete until told to stop.
///
/// # Errors
/// [`Error::Broken`] when the database was unavailable for so long that what follows the tip is no longer kept, and when
/// the log was reopened. Subscribers then miss changes, and only a new process can say so: they reconnect to it with their
/// positions and are answered POSITION_EXPIRED.
pub async fn run(
    feed: Arc<Feed>,
    mut bus: BusReceiver,
    health: Part,
    stop: CancellationToken,
) -> Result<(), Error> {
    let mut feed_sync = FeedSync {
        feed,
        bus_is_up: false,
        next_check: Instant::now(),
        why: Why::Suspicion,
    };

    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            event = bus.next() => feed_sync.on_bus_event(event),
            () = sleep_until(feed_sync.next_check) => {}
        }
        if Instant::now() < feed_sync.next_check {
            continue;
        }

        // Bounded: while a database hangs, notifications that follow the tip must still be appended.
        let checked = timeout(CHECK_TIMEOUT, feed_sync.check()).await;
        feed_sync.why = Why::Habit;

        let pause = match checked {
            Ok(Ok(Checked::Complete)) => {
                health.up();
                feed_sync.pause()
            }
            Ok(Ok(Checked::OnItsWay(sequence))) => {
                feed_sync.why = Why::Arrival(sequence);
                ARRIVAL_WINDOW
            }
            Ok(Ok(Checked::Over(why))) => return Err(Error::broken("feed", why)),
            Ok(Err(error)) => {
                health.down(&error);
                POLL_INTERVAL
            }
            Err(_) => {
                health.down("the buyer database does not answer");
                POLL_INTERVAL
            }
        };

        // Counted from the end of the check, so that a slow database is not asked again at once.
        feed_sync.next_check = Instant::now() + pause;
    }
}

/// Result of a check.
enum Checked {
    /// The ring is complete up to the tables' checkpoint.
    Complete,
    /// The tables are ahead of the ring, up to this sequence, by what the live bus is probably bringing.
    OnItsWay(Sequence),
    /// The feed cannot go on in this process, for this reason.
    Over(&'static str),
}

struct FeedSync {
    feed: Arc<Feed>,
    bus_is_up: bool,
    /// Time of the next check: now, if something may be missing.
    next_check: Instant,
    why: Why,
}

/// Reason of the next check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// One is due.
    Habit,
    /// The tables were ahead of the ring, up to this sequence.
    Arrival(Sequence),
    /// Something says that the ring may lack changes.
    Suspicion,
}

impl FeedSync {
    fn on_bus_event(&mut self, event: BusEvent) {
        match event {
            BusEvent::Message(message) => match Notification::decode(&message) {
                Some(notification) => self.on_notification(notification),
                // Of a newer release, perhaps: the table says the same in a form that this one reads.
                None => self.check_at_once(),
            },
            BusEvent::Gap => self.check_at_once(),
            BusEvent::Subscribed => {
                // Whatever was published before the subscription began is gone.
                self.set_bus(true);
                self.check_at_once();
            }
            BusEvent::Disconnected => {
                self.set_bus(false);
                self.check_at_once();
            }
        }
    }

    /// Returns the time until the check that follows a good one.
    fn pause(&self) -> Duration {
        if self.bus_is_up {
            CHECK_INTERVAL
        } else {
            POLL_INTERVAL
        }
    }

    fn set_bus(&mut self, is_up: bool) {
        self.bus_is_up = is_up;
        self.feed.liveness.set_bus(is_up);
    }

    /// Notes that the ring may lack something, and checks now.
    fn check_at_once(&mut self) {
        self.feed.liveness.incomplete();
        self.check_within(Duration::ZERO);
    }

    fn on_notification(&mut self, notification: Notification) {
        let Notification {
            epoch,
            generation,
            prev,
            last,
            changes,
        } = notification;

        let Some(synced) = self.feed.sync_state() else {
            return;
        };
        // Of another build of the tables, or of another log: sequences say nothing until the check has found out.
        if epoch != synced.epoch || generation != synced.generation {
            return self.check_at_once();
        }

        let now = self.feed.buyers().clock().now();
        match changes {
            // Known already, from the table or from an earlier notification.
            _ if last <= synced.tip => self.feed.liveness.complete(now),
            // A heartbeat that is ahead of the ring: the batch that it speaks of is probably on its way.
            _ if prev == last => {
                self.feed.liveness.incomplete();
                self.check_within(REORDER_WINDOW);
            }
            // Begins at or before the tip, so nothing lies between; the ring drops the overlap.
            Some(changes) if prev <= synced.tip => {
                self.feed.append(changes, last);
                self.feed.liveness.complete(now);
            }
            // Leaves a hole, or was too large to carry its changes.
            _ => self.check_at_once(),
        }
    }

    /// Brings the next check forward; never postpones one.
    fn check_within(&mut self, delay: Duration) {
        self.next_check = self.next_check.min(Instant::now() + delay);
        self.why = Why::Suspicion;
    }

    /// Compares the ring with the tables' checkpoint and completes it from the table.
    async fn check(&mut self) -> Result<Checked, Error> {
        // The time before the reads: the ring is then as complete as the tables were at that time at least.
        let looked_at = self.feed.buyers().clock().now();
        let checked = self.look().await?;

        if matches!(checked, Checked::Complete) {
            self.feed.liveness.complete(looked_at);
        }
        Ok(checked)
    }

    async fn look(&self) -> Result<Checked, Error> {
        let checkpoint = self.feed.buyers().checkpoint().await?;
        let Some(synced) = self.feed.sync_state() else {
            return self.load(checkpoint).await;
        };

        if synced.epoch != checkpoint.epoch {
            // Whoever is connected holds positions of the log before. A process that starts anew refuses those, and has
            // no memory of that log.
            return Ok(Checked::Over(
                "the log was reopened, so this process must be started again",
            ));
        }

        if synced.generation != checkpoint.generation {
            return self.start_over(synced).await;
        }

        if checkpoint.position <= synced.tip {
            return Ok(Checked::Complete);
        }
        // The tables are committed before their notification is sent, so a look between the two finds them ahead. What was
        // awaited before has arrived if the tip is there; what follows it may be on its way by now.
        let may_be_on_its_way = match self.why {
            Why::Habit => true,
            Why::Arrival(awaited) => synced.tip >= awaited,
            Why::Suspicion => false,
        };
        if may_be_on_its_way && self.bus_is_up {
            return Ok(Checked::OnItsWay(checkpoint.position));
        }

        self.feed.metrics().heals.inc();
        self.read_on(synced.tip).await
    }

    /// Empties the ring, whose changes are those of tables that no longer exist, and reads on in the tables that have
    /// taken their place.
    async fn start_over(&self, synced: SyncState) -> Result<Checked, Error> {
        let range = FeedRange {
            after: (synced.tip, Position::END),
            up_to: synced.tip,
            limit: 1,
        };
        let page = self.feed.buyers().feed(range).await?;

        // Before the ring moves: what is read from it is judged by the access of the same tables. If this fails, the
        // ring is still of the old generation, and the next check begins here again.
        let generation = page.checkpoint.generation;
        let access = &self.feed.access;
        access.reload(self.feed.buyers(), generation).await?;

        // At the same tip: parked subscribers have nothing new to see, and those behind read the new tables. If the
        // rebuild has cut the feed beyond the tip, the ring begins at the cut, and those before it are told.
        let tip = synced.tip.max(page.horizon);
        let rebuilt = SyncState {
            epoch: synced.epoch,
            generation,
            tip,
        };
        self.feed.reset(rebuilt, tip, Vec::new());
        self.read_on(tip).await
    }

    /// Fills the ring for the first time, from the beginning of the block that the checkpoint lies in.
    async fn load(&self, checkpoint: Checkpoint) -> Result<Checked, Error> {
        // Tables of epoch 0 have read nothing yet, so there is no log whose positions could be given out.
        if checkpoint.epoch.0 == 0 {
            return Err(Error::unavailable(
                "feed",
                "the buyer tables have not begun to follow a log",
            ));
        }

        // The floor is the end of a block, so that every block behind the ring is whole and can be cached; and clients
        // that reconnect to a gateway that has just started find the newest changes in memory.
        let floor = checkpoint.position / BLOCK * BLOCK;
        let range = FeedRange {
            after: (floor, Position::END),
            up_to: u64::MAX,
            limit: u32::MAX,
        };
        let page = self.feed.buyers().feed(range).await?;

        // The page's own checkpoint: the tables may have moved on since the one above was read.
        let synced = SyncState {
            epoch: page.checkpoint.epoch,
            generation: page.checkpoint.generation,
            tip: page.checkpoint.position,
        };

        self.feed
            .reset(synced, floor.max(page.horizon), page.changes);
        Ok(Checked::Complete)
    }

    /// Reads the table from the tip to its end, in pages.
    async fn read_on(&self, tip: u64) -> Result<Checked, Error> {
        let mut after = tip;
        let mut limit = PAGE;

        loop {
            let range = FeedRange {
                after: (after, Position::END),
                up_to: u64::MAX,
                limit,
            };
            let page = self.feed.buyers().feed(range).await?;
            if page.horizon > after {
                return Ok(Checked::Over("what follows its tip is no longer kept"));
            }

            let last = page.changes.last().map(Change::order);
            match last {
                // A page may end within an event, and only whole events move the tip. This page holds no whole event:
                // the same one again, with twice the room.
                Some(last) if page.more && last.0 == after + 1 => limit *= 2,
                Some(last) if page.more => {
                    let last_whole = last.0 - 1;
                    let changes = page
                        .changes
                        .into_iter()
                        .filter(|change| change.sequence <= last_whole)
                        .collect();
                    self.feed.append(changes, last_whole);
                    after = last_whole;
                }
                _ => {
                    self.feed.append(page.changes, page.checkpoint.position);
                    return Ok(Checked::Complete);
                }
            }
        }
    }
}
