//! A subscriber: a position, a filter, and a shape to render what it may see. No queue: it reads on when its
//! transport has taken what it was given, so a slow one costs a position.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use backbone::contract::{Deal, Previous};
use backbone::deal_table::DealFilter;
use backbone::ids::{BuyerId, SellerId};
use backbone::position::{Epoch, Position};
use buyer_core::feed::{Change, ChangeBody};
use tokio::time::sleep;

use super::access_book::Page;
use super::feed::Read;
use super::history::Stopped;
use super::interest::{Registration, Slot, Topic};
use super::shape::{Pushed, Shape};
use super::{Feed, Place};
use crate::error::Problem;

/// A table that is away is asked again after this.
const RETRY: Duration = Duration::from_millis(250);

/// For whom a subscriber reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// Sees its own deals and grants.
    Seller(SellerId),
    /// Sees deals within its access intervals, and its own access.
    Buyer(BuyerId),
}

/// What a subscriber reads.
#[derive(Clone, Debug, PartialEq)]
pub enum Subject {
    /// `dealChanged`
    Deals(DealFilter),
    /// `accessChanged`
    Access,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// For whom.
    pub viewer: Viewer,
    /// What.
    pub subject: Subject,
    /// From where; none: from now on.
    pub after: Option<Position>,
}

/// How a deal change looks to one filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The deal was created.
    Created,
    /// It changed, or came to match.
    Updated,
    /// It no longer matches.
    Left,
}

/// A result for a subscriber.
#[derive(Clone, Debug)]
pub struct Update {
    /// The change's place: whoever resumes after it has seen it.
    pub position: Position,
    /// The execution result, as JSON.
    pub result: Arc<str>,
}

/// A reader of the feed.
pub struct Subscriber {
    feed: Arc<Feed>,
    viewer: Viewer,
    subject: Subject,
    shape: Arc<Shape>,
    epoch: Epoch,
    place: Place,
    access: Option<Arc<Page>>,
    registration: Registration,
    /// The version of the access that the registered topics come from.
    followed: Option<u64>,
}

impl Subscriber {
    /// Begins where it was asked to.
    pub async fn open(feed: Arc<Feed>, asked: Subscription, shape: Arc<Shape>) -> Result<Self, Problem> {
        let Subscription { viewer, subject, after } = asked;
        let access = match viewer {
            Viewer::Buyer(buyer) => Some(feed.access.open(feed.buyers(), buyer).await?),
            Viewer::Seller(_) => None,
        };
        let (epoch, place) = feed.start(after).await?;
        let registration = feed.register(HashSet::new());
        Ok(Self { feed, viewer, subject, shape, epoch, place, access, registration, followed: None })
    }

    /// Tells from outside whether it is caught up.
    pub fn slot(&self) -> Arc<Slot> {
        Arc::clone(self.registration.slot())
    }

    /// Waits for what it may see next: one or more results, in order. To stop waiting loses nothing.
    ///
    /// # Errors
    /// POSITION_EXPIRED when its place is older than what is kept; then it is at its end.
    pub async fn next(&mut self) -> Result<Vec<Update>, Problem> {
        loop {
            if !self.feed.goes_beyond(self.place) {
                self.park().await;
                continue;
            }
            let (changes, reached) = match self.feed.read(self.place) {
                Read::Changes(changes, reached) if changes.is_empty() => {
                    self.place = reached;
                    self.park().await;
                    continue;
                }
                Read::Changes(changes, reached) => (changes, reached),
                Read::Behind(floor) => match self.read_behind(floor).await {
                    Ok(read) => read,
                    Err(Stopped::Expired) => return Err(Stopped::Expired.into()),
                    Err(Stopped::Away(error)) => {
                        // Nothing is lost by waiting: the position stands.
                        tracing::debug!(%error, "a subscriber waits for the feed's table");
                        sleep(RETRY).await;
                        continue;
                    }
                },
                Read::NotYet => {
                    self.park().await;
                    continue;
                }
            };
            let results: Vec<Update> = changes.iter().filter_map(|change| self.see(change)).collect();
            self.place = reached;
            if !results.is_empty() {
                return Ok(results);
            }
            tokio::task::yield_now().await;
        }
    }

    async fn read_behind(&self, floor: u64) -> Result<(Vec<Arc<Change>>, Place), Stopped> {
        self.feed.read_behind(self.place, floor, || self.sellers()).await
    }

    /// Whose changes it may ever see; none when that is not known here.
    fn sellers(&self) -> Option<Vec<SellerId>> {
        match (&self.subject, self.viewer) {
            (_, Viewer::Seller(seller)) => Some(vec![seller]),
            (Subject::Deals(filter), Viewer::Buyer(_)) => {
                let intervals = self.access.as_ref().expect("a buyer's subscriber holds its access").lock();
                Some(intervals.sellers().filter(|seller| wants(filter, *seller)).collect())
            }
            // A pair may have changes and no interval.
            (Subject::Access, Viewer::Buyer(_)) => None,
        }
    }

    /// Sleeps until there may be something to see.
    async fn park(&mut self) {
        // The version first: what changes while the topics are gathered is gathered again the next time.
        let version = self.access.as_ref().map_or(0, |page| page.version());
        if self.followed != Some(version) {
            self.registration.follow(self.topics());
            self.followed = Some(version);
        }
        let slot = self.slot();
        slot.lie_down(self.place.0);
        // Whatever was appended before we lay down did not wake us.
        if self.feed.goes_beyond(self.place) {
            slot.get_up();
            return;
        }
        let first = slot.woken().await;
        self.place = self.place.max((first - 1, Position::END));
    }

    fn topics(&self) -> HashSet<Topic> {
        match (&self.subject, self.viewer) {
            (Subject::Deals(_), Viewer::Seller(seller)) => [Topic::Deals(seller.0)].into(),
            (Subject::Deals(filter), Viewer::Buyer(buyer)) => {
                let intervals = self.access.as_ref().expect("a buyer's subscriber holds its access").lock();
                let wanted = intervals.sellers_after(self.place.0).filter(|seller| wants(filter, *seller));
                let deals = wanted.map(|seller| Topic::Deals(seller.0));
                // A grant brings another seller to wait for.
                deals.chain([Topic::Access(buyer.0)]).collect()
            }
            (Subject::Access, Viewer::Seller(seller)) => [Topic::Access(seller.0)].into(),
            (Subject::Access, Viewer::Buyer(buyer)) => [Topic::Access(buyer.0)].into(),
        }
    }

    /// The result for a change, if it is for this subscriber.
    fn see(&self, change: &Arc<Change>) -> Option<Update> {
        let kind = match (&self.subject, &change.body) {
            (Subject::Deals(filter), ChangeBody::Deal { created, deal, previous, .. }) => {
                self.permits(change).then(|| kind(filter, *created, deal, previous.as_ref()))??
            }
            (Subject::Access, ChangeBody::Access { buyer, .. }) => {
                let party = match self.viewer {
                    Viewer::Seller(seller) => seller == change.seller_id,
                    Viewer::Buyer(viewer) => viewer == *buyer,
                };
                party.then_some(Kind::Updated)?
            }
            _ => return None,
        };
        let pushed = Pushed { epoch: self.epoch, kind, change: Arc::clone(change) };
        Some(Update { position: pushed.position(), result: self.shape.render(&self.feed.rendered, &pushed) })
    }

    fn permits(&self, change: &Change) -> bool {
        match (self.viewer, &self.access) {
            (Viewer::Seller(seller), _) => seller == change.seller_id,
            (Viewer::Buyer(_), Some(page)) => page.lock().permits(change.seller_id, change.sequence),
            (Viewer::Buyer(_), None) => false,
        }
    }
}

/// How a change looks to a filter; `None`: not at all.
fn kind(filter: &DealFilter, created: bool, deal: &Deal, previous: Option<&Previous>) -> Option<Kind> {
    let after = matches(filter, deal, deal.status, deal.total_price);
    // A repair does not tell what was before: then better one LEFT too many than one too few.
    let before = !created && previous.is_none_or(|was| matches(filter, deal, was.status, was.total_price));
    match (before, after) {
        (_, true) if created => Some(Kind::Created),
        (_, true) => Some(Kind::Updated),
        (true, false) => Some(Kind::Left),
        (false, false) => None,
    }
}

fn matches(
    filter: &DealFilter,
    deal: &Deal,
    status: backbone::contract::DealStatus,
    price: backbone::money::MinorUnits,
) -> bool {
    wants(filter, deal.seller_id)
        && filter.statuses.as_ref().is_none_or(|statuses| statuses.contains(&status))
        && filter.currency.is_none_or(|currency| currency == deal.currency)
        && filter.min_total_price.is_none_or(|least| price >= least)
        && filter.max_total_price.is_none_or(|most| price <= most)
}

fn wants(filter: &DealFilter, seller: SellerId) -> bool {
    filter.seller_ids.as_ref().is_none_or(|sellers| sellers.contains(&seller))
}

#[cfg(test)]
mod tests {
    use backbone::contract::DealStatus::{self, Available, Sold};
    use backbone::ids::DealId;
    use backbone::money::MinorUnits;
    use backbone::time::Timestamp;
    use uuid::Uuid;

    use super::*;

    fn deal(status: DealStatus) -> Deal {
        Deal {
            id: DealId(Uuid::nil()),
            seller_id: SellerId(Uuid::nil()),
            name: "deal".to_owned(),
            total_price: MinorUnits::MAX,
            currency: "GBP".parse().expect("a currency"),
            status,
            discount: None,
            items: Vec::new(),
            version: 1,
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(0),
        }
    }

    #[test]
    fn a_filter_sees_what_comes_stays_and_leaves() {
        let filter = DealFilter { statuses: Some(vec![Available]), ..DealFilter::default() };
        let was = |status| Previous { status, total_price: MinorUnits::MAX };
        let table = [
            (true, None, Available, Some(Kind::Created)),
            (true, None, Sold, None),
            (false, Some(was(Available)), Available, Some(Kind::Updated)),
            (false, Some(was(Sold)), Available, Some(Kind::Updated)),
            (false, Some(was(Available)), Sold, Some(Kind::Left)),
            (false, Some(was(Sold)), Sold, None),
            (false, None, Available, Some(Kind::Updated)),
            (false, None, Sold, Some(Kind::Left)),
        ];
        for (created, previous, now, expected) in table {
            let found = kind(&filter, created, &deal(now), previous.as_ref());
            assert_eq!(found, expected, "created {created}, {previous:?} to {now:?}");
        }
        assert_eq!(kind(&DealFilter::default(), true, &deal(Sold), None), Some(Kind::Created));
    }
}
