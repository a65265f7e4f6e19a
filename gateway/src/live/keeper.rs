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
use buyer_core::announce::Announcement;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::Feed;
use super::feed::TABLE_PAGE;
use backbone::position::Position;

/// The table is looked at this often even when the bus seems well.
const LOOK: Duration = Duration::from_secs(1);
/// Without the bus, the table is all there is.
const POLL: Duration = Duration::from_millis(250);
/// One look may take this long, reading on included; it is begun again from where it came to.
const HEAL: Duration = Duration::from_secs(3);
/// A heartbeat may overtake the batch that it speaks of; the batch is given this long.
const OVERTAKEN: Duration = Duration::from_millis(30);

/// Keeps the feed until told to stop.
pub async fn keep(feed: Arc<Feed>, mut bus: BusReceiver, health: Part, stop: CancellationToken) {
    let mut keeper = Keeper { feed, bus_is_up: false, look_at: Instant::now() };
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            event = bus.next() => keeper.hear(event),
            () = sleep_until(keeper.look_at) => {}
        }
        if Instant::now() < keeper.look_at {
            continue;
        }
        // A database that hangs must not keep us from hearing the bus.
        let healed = match timeout(HEAL, keeper.heal()).await {
            Ok(Ok(())) => {
                health.up();
                true
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
        keeper.look_at = Instant::now() + if keeper.bus_is_up && healed { LOOK } else { POLL };
    }
}

struct Keeper {
    feed: Arc<Feed>,
    bus_is_up: bool,
    /// When the table is read next; now, when something may be missing.
    look_at: Instant,
}

impl Keeper {
    fn hear(&mut self, event: BusEvent) {
        match event {
            BusEvent::Message(message) => match Announcement::decode(&message) {
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

    fn take(&mut self, announcement: Announcement) {
        let Announcement { epoch, generation, prev, last, changes } = announcement;
        let Some((our_epoch, our_generation, tip)) = self.feed.standing() else { return };
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

    /// Reads on from the tip until there is no more.
    async fn heal(&mut self) -> Result<(), Error> {
        let place = self.feed.buyers().place().await?;
        let tip = match self.feed.standing() {
            Some((epoch, _, _)) if epoch != place.epoch => {
                return Err(Error::broken("feed", "the tables were made from another log than before"));
            }
            Some((epoch, generation, tip)) => {
                if generation != place.generation {
                    // Tables built anew: what was kept in memory is not theirs.
                    self.feed.begin(epoch, place.generation, tip);
                }
                tip
            }
            None => {
                // Tables of epoch 0 have read nothing yet, so there is no log to speak of.
                if place.epoch.0 == 0 {
                    return Err(Error::unavailable(
                        "feed",
                        "the buyer tables have not begun to follow a log",
                    ));
                }
                self.feed.begin(place.epoch, place.generation, place.position);
                return Ok(());
            }
        };
        if place.position <= tip {
            return Ok(());
        }
        self.feed.metrics().heals.inc();
        let (mut after, mut limit) = ((tip, Position::END), TABLE_PAGE);
        loop {
            let page = self.feed.buyers().feed_after(after, limit).await?;
            let last = page.changes.last().map(buyer_core::feed::Change::order);
            match last {
                // A page may end within an event; only whole events move the tip.
                Some(last) if page.more && last.0 == after.0 + 1 => limit *= 2,
                Some(last) if page.more => {
                    let whole = last.0 - 1;
                    let changes =
                        page.changes.into_iter().filter(|change| change.sequence <= whole).collect();
                    self.feed.append(changes, whole);
                    after = (whole, Position::END);
                }
                _ => {
                    self.feed.append(page.changes, page.place.position);
                    return Ok(());
                }
            }
        }
    }
}
