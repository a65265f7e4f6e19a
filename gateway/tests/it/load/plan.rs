//! Plans of readers: who reads what, how and where.

use std::fmt;

use serde_json::{Value, json};

use crate::kit::Party;

/// Fields of a change that readers ask for: all of them, in another order than the schema's.
const CHANGE: &str = "type changedFields skipped deal {
    version id sellerId name status totalPrice discount { type percentage amount } finalPrice currency
    items { id price name } createdAt updatedAt } position";
const ACCESS: &str = "subscription($after: Position) {
    accessChanged(after: $after) { position granted buyerId sellerId } }";
/// Most changes of one pulled page.
pub(super) const PAGE: usize = 50;

/// One reader.
#[derive(Clone)]
pub(crate) struct ReaderPlan {
    pub(crate) party: Party,
    pub(crate) subject: Subject,
    pub(crate) habit: Habit,
    /// Gateways that are tried one after the other, round and round.
    pub(crate) gateways: Vec<String>,
}

/// Changes that a reader follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Subject {
    Deals(Filter),
    Access,
}

/// Deals whose changes it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Filter {
    All,
    OfSeller(Party),
    /// Deals in pounds with a total price in this range, bounds included.
    Priced(i64, i64),
    /// Deals with this status.
    InStatus(&'static str),
}

/// Way in which a reader reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// A websocket, as fast as it can.
    Socket,
    /// A websocket with a small buffer, which stops reading when it is told to stall.
    Slow,
    /// A websocket that is dropped after so many changes, with more on their way.
    Vanishing(usize),
    /// Server-Sent Events, resumed by `Last-Event-ID`.
    Events,
    /// A websocket with the last change of each deal in every second.
    Conflating,
    /// Pages, each asked for after the one before it.
    Pulling,
}

impl ReaderPlan {
    /// Plans a reader of all deals.
    pub(crate) fn new(party: Party, habit: Habit, gateways: &[String]) -> Self {
        Self::filtered(party, Filter::All, habit, gateways)
    }

    /// Plans a reader of the deals that match a filter.
    pub(crate) fn filtered(
        party: Party,
        filter: Filter,
        habit: Habit,
        gateways: &[String],
    ) -> Self {
        Self {
            party,
            subject: Subject::Deals(filter),
            habit,
            gateways: gateways.to_vec(),
        }
    }

    /// Returns whether every change of every deal that the party may see is shown by itself.
    pub(super) fn shows_all(&self) -> bool {
        self.subject == Subject::Deals(Filter::All) && self.habit != Habit::Conflating
    }

    /// Returns whether deals leave what is read.
    pub(super) fn loses_deals(&self) -> bool {
        matches!(
            self.subject,
            Subject::Deals(Filter::Priced(..) | Filter::InStatus(_))
        )
    }

    /// Returns the subscription, or the query of a page.
    pub(super) fn query(&self) -> String {
        match (self.subject, self.habit) {
            (Subject::Access, _) => ACCESS.to_owned(),
            (Subject::Deals(_), Habit::Pulling) => format!(
                "query($after: Position!, $filter: DealFilter) {{
                    changes(after: $after, first: {PAGE}, wait: 5, filter: $filter) {{
                        changes {{ {CHANGE} }} position more }} }}"
            ),
            (Subject::Deals(_), _) => format!(
                "subscription($after: Position, $filter: DealFilter, $conflate: Int) {{
                    dealChanged(after: $after, filter: $filter, conflate: $conflate) {{ {CHANGE} }} }}"
            ),
        }
    }

    /// Returns the variables of [`ReaderPlan::query`], but for `after`.
    pub(super) fn variables(&self) -> Value {
        let Subject::Deals(filter) = self.subject else {
            return json!({});
        };

        let mut variables = json!({ "filter": filter.input() });
        if self.habit == Habit::Conflating {
            variables["conflate"] = json!(1);
        }
        variables
    }
}

impl Filter {
    /// Returns the filter as an argument.
    fn input(self) -> Value {
        match self {
            Self::All => Value::Null,
            Self::OfSeller(seller) => json!({ "sellerIds": [seller.id()] }),
            Self::Priced(min, max) => {
                json!({ "currency": "GBP", "minTotalPrice": min, "maxTotalPrice": max })
            }
            Self::InStatus(status) => json!({ "statuses": [status] }),
        }
    }
}

impl fmt::Display for ReaderPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} of {:?} by {:?}",
            self.subject, self.party, self.habit
        )
    }
}
