//! Cost of a selection: the number of fields that its result can have.

/// Number of fields in a result, as a function of the size of the page that it shows: `fixed + per_item × page`. Sums and
/// products saturate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Fields outside the entries of the page.
    pub fixed: u64,
    /// Fields of each entry of the page.
    pub per_item: u64,
}

impl Cost {
    /// Cost of one leaf field.
    pub const LEAF: Self = Self {
        fixed: 1,
        per_item: 0,
    };

    /// Returns the number of fields with `items` entries on the page.
    pub fn with_page(self, items: u64) -> u64 {
        self.fixed
            .saturating_add(self.per_item.saturating_mul(items))
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        Self {
            fixed: self.fixed.saturating_add(other.fixed),
            per_item: self.per_item.saturating_add(other.per_item),
        }
    }

    /// Returns the cost of a list with `count` entries of this cost.
    pub(crate) fn times(self, count: u64) -> Self {
        Self {
            fixed: self.fixed.saturating_mul(count),
            per_item: self.per_item.saturating_mul(count),
        }
    }

    /// Returns the cost of a list with one entry of this cost for each entry of the page. A page within a page counts as
    /// `most` entries, since only one size of page is known.
    pub(crate) fn for_each_item(self, most: u64) -> Self {
        Self {
            fixed: 0,
            per_item: self.with_page(most),
        }
    }
}
