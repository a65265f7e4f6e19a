//! The columns of the table of dead events, for comparisons with another generation of it.

use crate::table_diff::{Column, Kind, Replacement, Table, Touched};

/// The table `dead_event`.
pub const DEAD_EVENTS: Table = Table {
    name: "dead_event",
    page: include_str!("dead_events/page.sql"),
    columns: &[
        Column::new("sequence", Kind::Int),
        Column::new("subject", Kind::Text),
        Column::new("reason", Kind::Text),
        Column::new("headers", Kind::Json),
        Column::new("body", Kind::Bytes),
        Column::new("repaired", Kind::Bool),
        Column::new("discarded", Kind::Bool),
    ],
    key: 1,
    ignored: &[],
    touched: Touched::Column(0),
    subject_text: Some(1),
    replacement: Some(Replacement {
        subject: 1,
        delete: (
            include_str!("dead_events/delete.postgres.sql"),
            include_str!("dead_events/delete.sqlite.sql"),
        ),
        insert: (
            include_str!("dead_events/insert.postgres.sql"),
            include_str!("dead_events/insert.sqlite.sql"),
        ),
    }),
};
