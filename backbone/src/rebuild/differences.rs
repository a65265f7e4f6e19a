//! Subjects whose rows differ, kept in the database of the replay: there may be as many as the
//! market has deals.

use serde_json::Value as JsonValue;
use sqlx::types::Json;
use uuid::Uuid;

use crate::db::{Db, Tx};
use crate::table_diff::rows::{Row, read_page};
use crate::table_diff::{Kind, Table, Value};
use crate::{Error, on_db};

const CREATE: &str = include_str!("differences/create.sqlite.sql");
const NOTE: &str = include_str!("differences/note.sqlite.sql");
const AFTER: &str = include_str!("differences/after.sqlite.sql");

/// Rows that are read at first to find those of one subject.
const ROWS: i64 = 16;

/// The subjects, by table.
pub(super) struct Differences(Db);

impl Differences {
    /// Creates the table, empty.
    pub(super) async fn new(db: &Db) -> Result<Self, Error> {
        on_db!(db.write(), pool => sqlx::raw_sql(CREATE).execute(pool).await.map(|_| ()))?;
        Ok(Self(db.clone()))
    }

    /// Notes subjects, each with the name of the table. One that is noted already stays so.
    pub(super) async fn note(&self, noted: &[(&'static str, Vec<Value>)]) -> Result<(), Error> {
        let rows: Vec<JsonValue> = noted
            .iter()
            .map(|(table, subject)| serde_json::json!({ "name": table, "subject": text(subject) }))
            .collect();

        on_db!(self.0.write(), pool =>
            sqlx::query(NOTE).bind(Json(&rows)).execute(pool).await.map(|_| ()))
    }

    /// Returns the next subjects of a table in the order of their texts, which come with them.
    pub(super) async fn after(
        &self,
        table: &Table,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<Value>)>, Error> {
        let found: Result<Vec<String>, _> = on_db!(self.0.write(), pool => sqlx::query_scalar(AFTER)
            .bind(table.name)
            .bind(after)
            .bind(limit as i64)
            .fetch_all(pool)
            .await);

        let read = found?.into_iter().map(|text| {
            let subject = values(table, &text);
            (text, subject)
        });
        Ok(read.collect())
    }
}

/// Reads the rows of one subject.
pub(super) async fn rows_of(
    tx: &mut Tx,
    table: &Table,
    subject: &[Value],
) -> Result<Vec<Row>, Error> {
    let mut from = subject.to_vec();
    from.resize(table.key, Value::Int(i64::MIN));

    let mut limit = ROWS;
    loop {
        let mut rows = read_page(tx, table, &from, limit).await?;
        let is_full = rows.len() as i64 == limit;
        rows.retain(|row| row.0.starts_with(subject));

        // A page that ends within the subject: once more, with room for the rest.
        if is_full && rows.len() as i64 == limit {
            limit *= 8;
            continue;
        }

        return Ok(rows);
    }
}

/// Returns the columns that name a subject as a text.
fn text(subject: &[Value]) -> String {
    let values: Vec<JsonValue> = subject.iter().map(|value| value.to_json(false)).collect();
    JsonValue::Array(values).to_string()
}

/// Reads a text of [`text`].
fn values(table: &Table, text: &str) -> Vec<Value> {
    let read: Vec<JsonValue> = serde_json::from_str(text).expect("the text was written here");
    let columns = table.columns.iter().zip(read);

    columns
        .map(|(column, value)| match (column.kind, &value) {
            (Kind::Id, JsonValue::String(id)) => {
                let id = Uuid::parse_str(id).expect("the text was written here");
                Value::Id(id)
            }
            _ => Value::Int(value.as_i64().expect("the text was written here")),
        })
        .collect()
}
