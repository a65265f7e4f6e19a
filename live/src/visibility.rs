//! What a viewer wants to see of the feed, and may: the filter, the access, and which topics concern it.

use std::collections::HashSet;
use std::sync::Arc;

use backbone::contract::{Deal, Previous};
use backbone::deal_table::DealFilter;
use backbone::ids::{BuyerId, SellerId};
use backbone::position::Sequence;
use buyer_core::feed::{Change, ChangeBody};

use crate::access_cache::Page;
use crate::wakeups::Topic;

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
pub enum ChangeFilter {
    /// `dealChanged`
    Deals(DealFilter),
    /// `accessChanged`
    Access,
}

/// How a deal change looks to one filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChangeKind {
    /// The deal was created.
    Created,
    /// It changed, or came to match.
    Updated,
    /// It no longer matches.
    Left,
}

/// What one subscriber is shown.
pub(crate) struct Visibility {
    viewer: Viewer,
    subject: ChangeFilter,
    /// Of a buyer.
    access: Option<Arc<Page>>,
}

impl Visibility {
    /// `access`: the viewer's, if it is a buyer.
    pub(crate) fn new(viewer: Viewer, subject: ChangeFilter, access: Option<Arc<Page>>) -> Self {
        Self {
            viewer,
            subject,
            access,
        }
    }

    /// Moves with whatever else than the feed decides on [`Visibility::topics`].
    pub(crate) fn version(&self) -> u64 {
        self.access.as_ref().map_or(0, |page| page.version())
    }

    /// What wakes it, of what comes after a offset.
    pub(crate) fn topics(&self, offset: Sequence) -> HashSet<Topic> {
        match (&self.subject, self.viewer) {
            (ChangeFilter::Deals(_), Viewer::Seller(seller)) => [Topic::Deals(seller.0)].into(),
            (ChangeFilter::Deals(filter), Viewer::Buyer(buyer)) => {
                let intervals = self.page().read();
                let wanted = intervals
                    .sellers_after(offset)
                    .filter(|seller| wants(filter, *seller));
                let deals = wanted.map(|seller| Topic::Deals(seller.0));
                // A grant brings another seller to wait for.
                deals.chain([Topic::Access(buyer.0)]).collect()
            }
            (ChangeFilter::Access, Viewer::Seller(seller)) => [Topic::Access(seller.0)].into(),
            (ChangeFilter::Access, Viewer::Buyer(buyer)) => [Topic::Access(buyer.0)].into(),
        }
    }

    /// Whose changes it may ever show; none when that is not known here.
    pub(crate) fn sellers(&self) -> Option<Vec<SellerId>> {
        match (&self.subject, self.viewer) {
            (_, Viewer::Seller(seller)) => Some(vec![seller]),
            (ChangeFilter::Deals(filter), Viewer::Buyer(_)) => Some(
                self.page()
                    .read()
                    .sellers()
                    .filter(|seller| wants(filter, *seller))
                    .collect(),
            ),
            // A pair may have changes and no interval.
            (ChangeFilter::Access, Viewer::Buyer(_)) => None,
        }
    }

    /// How a change looks; none when it is not shown.
    pub(crate) fn kind(&self, change: &Change) -> Option<ChangeKind> {
        match (&self.subject, &change.body) {
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
                let party = match self.viewer {
                    Viewer::Seller(seller) => seller == change.seller_id,
                    Viewer::Buyer(viewer) => viewer == *buyer,
                };
                party.then_some(ChangeKind::Updated)
            }
            _ => None,
        }
    }

    fn permits(&self, change: &Change) -> bool {
        match self.viewer {
            Viewer::Seller(seller) => seller == change.seller_id,
            Viewer::Buyer(_) => self
                .page()
                .read()
                .permits(change.seller_id, change.sequence),
        }
    }

    fn page(&self) -> &Page {
        self.access.as_ref().expect("a buyer comes with its access")
    }
}

/// How a change looks to a filter; `None`: not at all.
fn kind(
    filter: &DealFilter,
    created: bool,
    deal: &Deal,
    previous: Option<&Previous>,
) -> Option<ChangeKind> {
    let after = matches(filter, deal, deal.status, deal.total_price);
    // A repair does not tell what was before: then better one LEFT too many than one too few.
    let before =
        !created && previous.is_none_or(|was| matches(filter, deal, was.status, was.total_price));
    match (before, after) {
        (_, true) if created => Some(ChangeKind::Created),
        (_, true) => Some(ChangeKind::Updated),
        (true, false) => Some(ChangeKind::Left),
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
        && filter
            .statuses
            .as_ref()
            .is_none_or(|statuses| statuses.contains(&status))
        && filter
            .currency
            .is_none_or(|currency| currency == deal.currency)
        && filter.min_total_price.is_none_or(|least| price >= least)
        && filter.max_total_price.is_none_or(|most| price <= most)
}

fn wants(filter: &DealFilter, seller: SellerId) -> bool {
    filter
        .seller_ids
        .as_ref()
        .is_none_or(|sellers| sellers.contains(&seller))
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
