//! The seller tables as a replay of the log makes them again: to compare them with it, and to
//! replace what differs. Accounts, keys and the marks of example markets are not made from the log.

use backbone::deal_table;
use backbone::projection::DEAD_EVENTS;
use backbone::table_diff::{Column, Kind, Replacement, Table, Touched};
use backbone::verify::Tables;

/// The tables that the seller projection keeps.
pub(crate) const TABLES: Tables = Tables {
    tables: &[DEAD_EVENTS, deal_table::TABLE, ACCESS],
    feed: None,
};

const ACCESS: Table = Table {
    name: "access",
    page: include_str!("tables/access_page.sql"),
    columns: &[
        Column::new("seller_id", Kind::Id),
        Column::new("buyer_id", Kind::Id),
        Column::new("granted", Kind::Bool),
        Column::new("since", Kind::Time),
        Column::new("revision", Kind::Int),
    ],
    key: 2,
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
