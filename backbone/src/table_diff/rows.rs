//! Rows of a table in the order of their keys, read in pages.

use std::cmp::Ordering;
use std::collections::VecDeque;

use serde_json::{Map, Value as JsonValue};
use sqlx::types::Json;
use sqlx::{ColumnIndex, Database, Decode, Type};
use uuid::Uuid;

use super::table::Table;
use super::value::{Kind, Value};
use crate::db::Tx;
use crate::time::Timestamp;
use crate::{Error, on_tx};

/// Rows of a page.
const PAGE: i64 = 1_000;

/// Values of a row, in the order of the table's columns.
#[derive(Clone, Debug, PartialEq)]
pub struct Row(pub Vec<Value>);

impl Row {
    /// Compares the keys of two rows, which have this many columns.
    pub(super) fn key_order(&self, other: &Self, columns: usize) -> Ordering {
        let pairs = self.0.iter().zip(&other.0).take(columns);

        pairs
            .map(|(a, b)| a.key_order(b))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    /// Reads all columns of a row of a statement.
    pub(super) fn read<'r, D, R>(row: &'r R, table: &Table) -> Self
    where
        D: Database,
        R: sqlx::Row<Database = D>,
        usize: ColumnIndex<R>,
        i64: Decode<'r, D> + Type<D>,
        bool: Decode<'r, D> + Type<D>,
        Uuid: Decode<'r, D> + Type<D>,
        Timestamp: Decode<'r, D> + Type<D>,
        String: Decode<'r, D> + Type<D>,
        Json<JsonValue>: Decode<'r, D> + Type<D>,
        Vec<u8>: Decode<'r, D> + Type<D>,
    {
        let columns = table.columns.iter().enumerate();
        let values = columns.map(|(index, column)| Value::read(row, index, column.kind));

        Self(values.collect())
    }

    /// Returns the row as the statements of [`super::Replacement`] take it.
    pub(crate) fn to_json(&self, table: &Table, postgres: bool) -> Map<String, JsonValue> {
        named(table, &self.0, postgres)
    }
}

/// Returns leading columns of a row as an object.
pub(crate) fn named(table: &Table, values: &[Value], postgres: bool) -> Map<String, JsonValue> {
    let columns = table.columns.iter().zip(values);

    columns
        .map(|(column, value)| (column.name.to_owned(), value.to_json(postgres)))
        .collect()
}

/// Rows of a table from a key on.
pub(super) struct Rows<'a> {
    table: &'a Table,
    page: VecDeque<Row>,
    /// Key from which the next page is read.
    from: Vec<Value>,
    /// Set if the row at `from` was in the page before.
    is_read: bool,
    is_last: bool,
}

impl<'a> Rows<'a> {
    pub(super) fn new(table: &'a Table, after: Option<i64>) -> Self {
        let key = &table.columns[..table.key];
        let mut from: Vec<Value> = key.iter().map(|column| least(column.kind)).collect();
        if let Some(after) = after {
            from[0] = Value::Int(after.saturating_add(1));
        }

        Self {
            table,
            page: VecDeque::new(),
            from,
            is_read: false,
            is_last: false,
        }
    }

    pub(super) fn first(&self) -> Option<&Row> {
        self.page.front()
    }

    pub(super) fn take(&mut self) -> Option<Row> {
        self.page.pop_front()
    }

    /// Reads the next page if the present one is used up.
    pub(super) async fn fill(&mut self, tx: &mut Tx) -> Result<(), Error> {
        if self.is_last || !self.page.is_empty() {
            return Ok(());
        }

        let rows = read_page(tx, self.table, &self.from, PAGE).await?;
        self.is_last = rows.len() < PAGE as usize;
        if let Some(last) = rows.last() {
            self.from = last.0[..self.table.key].to_vec();
        }

        // A page begins with the row that ended the one before: keys have no next value that could
        // be asked for.
        let skipped = usize::from(self.is_read);
        self.page.extend(rows.into_iter().skip(skipped));
        self.is_read = true;
        Ok(())
    }
}

/// Reads at most `limit` rows from a key on.
pub(crate) async fn read_page(
    tx: &mut Tx,
    table: &Table,
    from: &[Value],
    limit: i64,
) -> Result<Vec<Row>, Error> {
    on_tx!(tx, connection => {
        let mut query = sqlx::query(table.page);
        for value in from {
            query = match value {
                Value::Int(number) => query.bind(*number),
                Value::Id(id) => query.bind(*id),
                other => unreachable!("a key has no {other}"),
            };
        }

        let rows = query.bind(limit).fetch_all(connection).await;
        rows.map(|rows| rows.iter().map(|row| Row::read(row, table)).collect())
    })
}

/// Returns the least value of a key's column.
fn least(kind: Kind) -> Value {
    match kind {
        Kind::Id => Value::Id(Uuid::nil()),
        _ => Value::Int(i64::MIN),
    }
}
