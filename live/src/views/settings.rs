//! Bounds of what is kept in memory for pages.

/// Bounds of the Views of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ViewSettings {
    /// False if every page is read from the tables.
    pub enabled: bool,
    /// Memory for all Views, in bytes. Deals that the ring holds too count in part.
    pub bytes: u64,
    /// Most Views of one account.
    pub per_account: usize,
}

impl Default for ViewSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            bytes: 64 << 20,
            per_account: 16,
        }
    }
}
