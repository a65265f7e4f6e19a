//! The table's columns, for comparisons with another generation of it.

use crate::table_diff::{Column, Kind, Replacement, Table, Touched};

/// The table `deal`.
pub const TABLE: Table = Table {
    name: "deal",
    page: include_str!("columns/page.sql"),
    columns: &[
        Column::new("id", Kind::Id),
        Column::new("seller_id", Kind::Id),
        Column::new("name", Kind::Text),
        Column::new("total_price", Kind::Int),
        Column::new("currency", Kind::Text),
        Column::new("status", Kind::Text),
        Column::new("discount", Kind::Json),
        Column::new("items", Kind::Json),
        Column::new("version", Kind::Int),
        Column::new("revision", Kind::Int),
        Column::new("sequence", Kind::Int),
        Column::new("created_at", Kind::Time),
        Column::new("updated_at", Kind::Time),
    ],
    key: 1,
    ignored: &[],
    touched: Touched::Column(10),
    subject_text: None,
    replacement: Some(Replacement {
        subject: 1,
        delete: (
            include_str!("columns/delete.postgres.sql"),
            include_str!("columns/delete.sqlite.sql"),
        ),
        insert: (
            include_str!("columns/insert.postgres.sql"),
            include_str!("columns/insert.sqlite.sql"),
        ),
    }),
};
