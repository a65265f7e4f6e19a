//! Keeps the feed whole: takes what the live bus brings if it follows the tip, and reads the table whenever it may
//! not.
//!
//! The bus is a hint. A hole, a lost link, a full queue, silence, or tables that are ahead of the tip all lead to
//! the same thing: read on from the tip.

use std::sync::Arc;
use std::time::Duration;

use backbone::Error;
use backbone::health::Part;
use backbone::live_bus::{BusEvent, BusReceiver};
use backbone::position::Position;
use backbone::projection::Checkpoint;
use buyer_core::feed::{Change, FeedRange};
use buyer_core::notification::Notification;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use crate::Feed;
use crate::backlog::BLOCK;

/// The table is looked at this often even when the bus seems well.
const LOOK: Duration = Duration::from_secs(1);
/// Without the bus, the table is all there is.
const POLL: Duration = Duration::from_millis(250);
/// One look may take this long, reading on included; it is begun again from where it came to.
const HEAL: Duration = Duration::from_secs(3);
/// Changes that one read of the table brings.
const PAGE: u32 = 500;
/// A heartbeat may overtake the batch that it speaks of; the batch is given this long.
const OVERTAKEN: Duration = Duration::from_millis(30);

/// Keeps the feed until told to stop.
///
/// # Errors
/// [`Error::Broken`] when the database was away for so long that what follows the tip is no longer kept: subscribers
/// have a hole before them that only a new process, which they come back to with their positions, can tell them of.
pub async fn run(
    feed: Arc<Feed>,
    mut bus: BusReceiver,
    health: Part,
    stop: CancellationToken,
) -> Result<(), Error> {
    let mut feed_sync = FeedSync {
        feed,
        bus_is_up: false,
        look_at: Instant::now(),
    };
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            event = bus.next() => feed_sync.hear(event),
            () = sleep_until(feed_sync.look_at) => {}
        }
        if Instant::now() < feed_sync.look_at {
            continue;
        }
        // A database that hangs must not keep us from hearing the bus.
        let healed = match timeout(HEAL, feed_sync.heal()).await {
            Ok(Ok(Healed::Whole)) => {
                health.up();
                true
            }
            Ok(Ok(Healed::TooLate)) => {
                return Err(Error::broken(
                    "feed",
                    "what follows its tip is no longer kept",
                ));
            }
            Ok(Err(error)) => {
                health.down(&error);
                false
            }
            Err(_) => {
                health.down("the buyer database does not answer");
                false
            }
        };
        feed_sync.look_at = Instant::now()
            + if feed_sync.bus_is_up && healed {
                LOOK
            } else {
                POLL
            };
    }
}

/// What a look has come to.
enum Healed {
    /// Nothing is missing.
    Whole,
    /// What is missing is no longer kept.
    TooLate,
}

struct FeedSync {
    feed: Arc<Feed>,
    bus_is_up: bool,
    /// When the table is read next; now, when something may be missing.
    look_at: Instant,
}

impl FeedSync {
    fn hear(&mut self, event: BusEvent) {
        match event {
            BusEvent::Message(message) => match Notification::decode(&message) {
                Some(announcement) => self.take(announcement),
                None => self.suspect(Duration::ZERO),
            },
            BusEvent::Gap => self.suspect(Duration::ZERO),
            BusEvent::Subscribed => {
                self.bus_is_up = true;
                self.suspect(Duration::ZERO);
            }
            BusEvent::Disconnected => {
                self.bus_is_up = false;
                self.suspect(Duration::ZERO);
            }
        }
    }

    fn take(&mut self, announcement: Notification) {
        let Notification {
            epoch,
            generation,
            prev,
            last,
            changes,
        } = announcement;
        let Some((our_epoch, our_generation, tip)) = self.feed.standing() else {
            return;
        };
        if epoch != our_epoch || generation != our_generation {
            return self.suspect(Duration::ZERO);
        }
        match changes {
            _ if last <= tip => {}
            // A heartbeat ahead of us.
            _ if prev == last => self.suspect(OVERTAKEN),
            Some(changes) if prev <= tip => self.feed.append(changes, last),
            _ => self.suspect(Duration::ZERO),
        }
    }

    /// Something may be missing: look soon.
    fn suspect(&mut self, within: Duration) {
        self.look_at = self.look_at.min(Instant::now() + within);
    }

    /// Begins, or reads on from the tip until there is no more.
    async fn heal(&mut self) -> Result<Healed, Error> {
        let checkpoint = self.feed.buyers().checkpoint().await?;
        let (epoch, generation, tip) = match self.feed.standing() {
            None => return self.begin(checkpoint).await,
            Some(standing) => standing,
        };
        if epoch != checkpoint.epoch {
            return Err(Error::broken(
                "feed",
                "the tables were made from another log than before",
            ));
        }
        if generation != checkpoint.generation {
            // Tables built anew: what was kept in memory is not theirs.
            self.feed
                .begin((epoch, checkpoint.generation), tip, Vec::new(), tip);
        }
        if checkpoint.position <= tip {
            return Ok(Healed::Whole);
        }
        self.feed.metrics().heals.inc();
        self.read_on(tip).await
    }

    /// The ring begins where a block ends, so that all blocks behind it are whole, and whoever comes back to a gateway
    /// that has just begun finds the newest changes in memory.
    async fn begin(&self, checkpoint: Checkpoint) -> Result<Healed, Error> {
        // Tables of epoch 0 have read nothing yet, so there is no log to speak of.
        if checkpoint.epoch.0 == 0 {
            return Err(Error::unavailable(
                "feed",
                "the buyer tables have not begun to follow a log",
            ));
        }
        let floor = checkpoint.position / BLOCK * BLOCK;
        let range = FeedRange {
            after: (floor, Position::END),
            up_to: u64::MAX,
            limit: u32::MAX,
        };
        let page = self.feed.buyers().feed(range).await?;
        let standing = (page.checkpoint.epoch, page.checkpoint.generation);
        self.feed.begin(
            standing,
            floor.max(page.horizon),
            page.changes,
            page.checkpoint.position,
        );
        Ok(Healed::Whole)
    }

    async fn read_on(&self, tip: u64) -> Result<Healed, Error> {
        let (mut after, mut limit) = (tip, PAGE);
        loop {
            let range = FeedRange {
                after: (after, Position::END),
                up_to: u64::MAX,
                limit,
            };
            let page = self.feed.buyers().feed(range).await?;
            if page.horizon > after {
                return Ok(Healed::TooLate);
            }
            let last = page.changes.last().map(Change::order);
            match last {
                // A page may end within an event; only whole events move the tip.
                Some(last) if page.more && last.0 == after + 1 => limit *= 2,
                Some(last) if page.more => {
                    let whole = last.0 - 1;
                    let changes = page
                        .changes
                        .into_iter()
                        .filter(|change| change.sequence <= whole)
                        .collect();
                    self.feed.append(changes, whole);
                    after = whole;
                }
                _ => {
                    self.feed.append(page.changes, page.checkpoint.position);
                    return Ok(Healed::Whole);
                }
            }
        }
    }
}
