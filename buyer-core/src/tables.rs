//! The buyer tables as a replay of the log makes them again: to compare them with it, and to
//! replace what differs. Accounts, keys and webhooks are not made from the log.

use backbone::deal_table;
use backbone::projection::DEAD_EVENTS;
use backbone::table_diff::{Column, Kind, Replacement, Table, Touched};
use backbone::verify::{Feed, Tables};

use crate::feed::retention::{HORIZON, MOVE_HORIZON};

/// The tables that the buyer projection keeps.
pub(crate) const TABLES: Tables = Tables {
    tables: &[DEAD_EVENTS, deal_table::TABLE, ACCESS],
    feed: Some(Feed {
        table: &FEED,
        horizon: HORIZON,
        move_horizon: MOVE_HORIZON,
        drop_after: include_str!("tables/feed_drop_after.sql"),
        lower_horizon: include_str!("tables/feed_lower_horizon.sql"),
        prune: include_str!("tables/feed_prune.sqlite.sql"),
    }),
};

const ACCESS: Table = Table {
    name: "access",
    page: include_str!("tables/access_page.sql"),
    columns: &[
        Column::new("seller_id", Kind::Id),
        Column::new("buyer_id", Kind::Id),
        Column::new("granted_at", Kind::Int),
        Column::new("revoked_at", Kind::Int),
        Column::new("since", Kind::Time),
        Column::new("revision", Kind::Int),
    ],
    key: 3,
    ignored: &[],
    touched: Touched::Access,
    subject_text: None,
    replacement: Some(Replacement {
        subject: 2,
        delete: (
            include_str!("tables/access_delete.postgres.sql"),
            include_str!("tables/access_delete.sqlite.sql"),
        ),
        insert: (
            include_str!("tables/access_insert.postgres.sql"),
            include_str!("tables/access_insert.sqlite.sql"),
        ),
    }),
};

const FEED: Table = Table {
    name: "feed",
    page: include_str!("tables/feed_page.sql"),
    columns: &[
        Column::new("sequence", Kind::Int),
        Column::new("change_index", Kind::Int),
        Column::new("seller_id", Kind::Id),
        Column::new("body", Kind::JsonText),
    ],
    key: 2,
    // The age of a change decides only how long it is kept. It is that of a migration for changes
    // from before it, and that of the reading for events that cannot be read. Older
    // versions wrote no trace.
    ignored: &["occurred_at", "trace"],
    touched: Touched::Column(0),
    subject_text: None,
    // The positions of changes are in clients' hands: they are kept, or the horizon passes them.
    replacement: None,
};
