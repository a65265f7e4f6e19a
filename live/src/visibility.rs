//! Visibility: the decision whether a subscriber may see and wants a change, and as what; and the topics that wake it.

use std::collections::HashSet;
use std::sync::Arc;

use backbone::contract::{Deal, DealStatus, Previous};
use backbone::deal_table::DealFilter;
use backbone::ids::{BuyerId, SellerId};
use backbone::money::MinorUnits;
use backbone::position::Sequence;
use buyer_core::feed::{Change, ChangeBody};

use crate::access_cache::BuyerAccess;
use crate::interest::Topic;

/// Account that changes are shown to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Viewer {
    /// A seller, who sees own deals and grants.
    Seller(SellerId),
    /// A buyer, who sees deals within its access intervals, and its own access.
    Buyer(BuyerId),
}

/// Changes that a subscriber reads.
#[derive(Clone, Debug, PartialEq)]
pub enum ChangeFilter {
    /// Changes of deals that match a filter: the subscription `dealChanged`.
    Deals(DealFilter),
    /// Changes of access: the subscription `accessChanged`.
    Access,
}

/// Effect of a deal's change on the set of deals that match a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// The deal was created, and matches.
    Created,
    /// The deal changed and matches, whether or not it matched before.
    Updated,
    /// The deal matched before the change and no longer does.
    Left,
}

/// Rules by which one subscriber is shown changes.
pub(crate) struct Visibility {
    viewer: Viewer,
    filter: ChangeFilter,
    /// Access of the viewer; `None` for a seller.
    access: Option<Arc<BuyerAccess>>,
}

impl Visibility {
    /// Creates the rules of a subscriber. `access` is the viewer's, and must be given for a buyer.
    pub(crate) fn new(
        viewer: Viewer,
        filter: ChangeFilter,
        access: Option<Arc<BuyerAccess>>,
    ) -> Self {
        Self {
            viewer,
            filter,
            access,
        }
    }

    /// Returns the topics of every change after an offset that may concern the subscriber.
    pub(crate) fn topics(&self, offset: Sequence) -> HashSet<Topic> {
        match (&self.filter, self.viewer) {
            (ChangeFilter::Deals(_), Viewer::Seller(seller)) => [Topic::Deals(seller.0)].into(),
            (ChangeFilter::Deals(filter), Viewer::Buyer(buyer)) => {
                let intervals = self.access().read();
                let wanted = intervals
                    .sellers_after(offset)
                    .filter(|seller| wants_seller(filter, *seller));

                // The buyer's own access too: a grant adds another seller's topic.
                let deals = wanted.map(|seller| Topic::Deals(seller.0));
                deals.chain([Topic::Access(buyer.0)]).collect()
            }
            (ChangeFilter::Access, Viewer::Seller(seller)) => [Topic::Access(seller.0)].into(),
            (ChangeFilter::Access, Viewer::Buyer(buyer)) => [Topic::Access(buyer.0)].into(),
        }
    }

    /// Returns all sellers whose changes may ever be shown; `None` if they are not known here.
    pub(crate) fn sellers(&self) -> Option<Vec<SellerId>> {
        match (&self.filter, self.viewer) {
            (_, Viewer::Seller(seller)) => Some(vec![seller]),
            (ChangeFilter::Deals(filter), Viewer::Buyer(_)) => {
                let intervals = self.access().read();
                let wanted = intervals
                    .sellers()
                    .filter(|seller| wants_seller(filter, *seller));
                Some(wanted.collect())
            }
            // Intervals do not name every seller here: a pair may have access changes and no interval.
            (ChangeFilter::Access, Viewer::Buyer(_)) => None,
        }
    }

    /// Returns the kind as which a change is shown; `None` if it is not shown.
    pub(crate) fn kind(&self, change: &Change) -> Option<ChangeKind> {
        match (&self.filter, &change.body) {
            (
                ChangeFilter::Deals(filter),
                ChangeBody::Deal {
                    created,
                    deal,
                    previous,
                    ..
                },
            ) => self
                .permits(change)
                .then(|| kind(filter, *created, deal, previous.as_ref()))?,
            (ChangeFilter::Access, ChangeBody::Access { buyer, .. }) => {
                let is_party = match self.viewer {
                    Viewer::Seller(seller) => seller == change.seller_id,
                    Viewer::Buyer(viewer) => viewer == *buyer,
                };
                is_party.then_some(ChangeKind::Updated)
            }
            _ => None,
        }
    }

    fn permits(&self, change: &Change) -> bool {
        match self.viewer {
            Viewer::Seller(seller) => seller == change.seller_id,
            // By the change's own sequence, not by the access of now: a replayed change is shown to whom it was shown
            // when it was new.
            Viewer::Buyer(_) => self
                .access()
                .read()
                .permits(change.seller_id, change.sequence),
        }
    }

    fn access(&self) -> &BuyerAccess {
        self.access
            .as_ref()
            .expect("a buyer's visibility is created with its access")
    }
}

/// Returns the effect of a change on the deals that match `filter`; `None` if it has none.
fn kind(
    filter: &DealFilter,
    created: bool,
    deal: &Deal,
    previous: Option<&Previous>,
) -> Option<ChangeKind> {
    let after = is_wanted(filter, deal);

    // A repair of the tables may not know the state before. It then counts as a match: a client ignores one LEFT too
    // many, and would show a deal for ever after one too few.
    let before =
        !created && previous.is_none_or(|was| matches(filter, deal, was.status, was.total_price));

    match (before, after) {
        (_, true) if created => Some(ChangeKind::Created),
        (_, true) => Some(ChangeKind::Updated),
        (true, false) => Some(ChangeKind::Left),
        (false, false) => None,
    }
}

/// Returns whether a deal matches a filter as it is.
pub(crate) fn is_wanted(filter: &DealFilter, deal: &Deal) -> bool {
    matches(filter, deal, deal.status, deal.total_price)
}

// Status and price are parameters because they are all that a change can alter among what a filter looks at.
fn matches(filter: &DealFilter, deal: &Deal, status: DealStatus, price: MinorUnits) -> bool {
    let status_matches = filter
        .statuses
        .as_ref()
        .is_none_or(|statuses| statuses.contains(&status));
    let currency_matches = filter
        .currency
        .is_none_or(|currency| currency == deal.currency);
    let price_matches = filter.min_total_price.is_none_or(|min| price >= min)
        && filter.max_total_price.is_none_or(|max| price <= max);

    wants_seller(filter, deal.seller_id) && status_matches && currency_matches && price_matches
}

fn wants_seller(filter: &DealFilter, seller: SellerId) -> bool {
    filter
        .seller_ids
        .as_ref()
        .is_none_or(|sellers| sellers.contains(&seller))
}

#[cfg(test)]
mod tests {
    use backbone::contract::DealStatus::{Available, Sold};

    use super::*;
    use crate::fixtures;

    fn deal(status: DealStatus) -> Deal {
        Deal {
            status,
            ..fixtures::deal(0)
        }
    }

    #[test]
    fn visibility_reports_deals_that_enter_stay_in_and_leave_a_filter() {
        let filter = DealFilter {
            statuses: Some(vec![Available]),
            ..DealFilter::default()
        };
        let was = |status| Previous {
            status,
            total_price: MinorUnits::MAX,
        };
        let table = [
            (true, None, Available, Some(ChangeKind::Created)),
            (true, None, Sold, None),
            (
                false,
                Some(was(Available)),
                Available,
                Some(ChangeKind::Updated),
            ),
            (false, Some(was(Sold)), Available, Some(ChangeKind::Updated)),
            (false, Some(was(Available)), Sold, Some(ChangeKind::Left)),
            (false, Some(was(Sold)), Sold, None),
            (false, None, Available, Some(ChangeKind::Updated)),
            (false, None, Sold, Some(ChangeKind::Left)),
        ];

        for (created, previous, now, expected) in table {
            let found = kind(&filter, created, &deal(now), previous.as_ref());
            assert_eq!(
                found, expected,
                "created {created}, {previous:?} to {now:?}"
            );
        }

        assert_eq!(
            kind(&DealFilter::default(), true, &deal(Sold), None),
            Some(ChangeKind::Created)
        );
    }
}
