//! One row that the tables and the replay do not have alike, as operators read it.

use std::fmt;

use crate::Error;
use crate::contract::Subject;
use crate::event_log::EventLog;
use crate::position::Sequence;
use crate::table_diff::{Row, RowDifference, Table, Touched, Value};

/// A row that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Name of the table.
    pub table: &'static str,
    /// Columns of the key with their values.
    pub key: Vec<(&'static str, Value)>,
    /// The difference.
    pub kind: FindingKind,
    /// Sequence of the event that wrote the row last, since which the two differ; `None` if no
    /// event of the log did.
    pub since: Option<Sequence>,
}

/// Kind of a difference.
#[derive(Clone, Debug, PartialEq)]
pub enum FindingKind {
    /// The tables lack a row.
    Missing,
    /// The tables have a row that no event makes.
    Unknown,
    /// Columns have other values: name, value in the tables, value in the replay.
    Columns(Vec<(&'static str, Value, Value)>),
}

impl Finding {
    /// Describes a difference between tables and replay, both at `position`.
    pub(crate) async fn of(
        log: &EventLog,
        table: &'static Table,
        row: RowDifference,
        position: Sequence,
    ) -> Result<Self, Error> {
        let names = table.columns.iter().map(|column| column.name);
        let values = row.key(table.key).iter().cloned();
        let key = names.zip(values).collect();
        let since = since(log, table.touched, &row, position).await?;

        let RowDifference { left, right } = row;
        let kind = match (left, right) {
            (Some(tables), Some(replay)) => FindingKind::Columns(columns(table, tables, replay)),
            (Some(_), None) => FindingKind::Unknown,
            (None, _) => FindingKind::Missing,
        };

        Ok(Self {
            table: table.name,
            key,
            kind,
            since,
        })
    }
}

/// Returns the columns that differ.
fn columns(table: &Table, tables: Row, replay: Row) -> Vec<(&'static str, Value, Value)> {
    let pairs = tables.0.into_iter().zip(replay.0);
    let named = table.columns.iter().zip(pairs);

    named
        .filter(|(_, (tables, replay))| tables != replay)
        .map(|(column, (tables, replay))| (column.name, tables, replay))
        .collect()
}

/// Returns the sequence of the event that wrote a row last.
async fn since(
    log: &EventLog,
    touched: Touched,
    row: &RowDifference,
    position: Sequence,
) -> Result<Option<Sequence>, Error> {
    // The replay's row first: the one in the tables may be damaged in this column too.
    let Some(Row(values)) = row.right.as_ref().or(row.left.as_ref()) else {
        return Ok(None);
    };

    match (touched, touched.subject(values)) {
        (Touched::Column(index), _) => match values[index] {
            Value::Int(sequence) => Ok(u64::try_from(sequence).ok()),
            _ => Ok(None),
        },
        (Touched::Access, Some(subject)) => newest(log, &subject, position).await,
        (Touched::Access, None) => Ok(None),
    }
}

/// Returns the newest event of a subject up to a position.
async fn newest(
    log: &EventLog,
    subject: &Subject,
    position: Sequence,
) -> Result<Option<Sequence>, Error> {
    let mut newest = None;
    let mut after = 0;
    // From the first on: a pair has few events, and the log finds only the one that follows.
    while let Some(record) = log.next(subject, after).await? {
        if record.sequence > position {
            break;
        }

        after = record.sequence;
        newest = Some(after);
    }

    Ok(newest)
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.table)?;
        for (name, value) in &self.key {
            write!(f, " {name}={value}")?;
        }

        match &self.kind {
            FindingKind::Missing => f.write_str(": the tables lack this row")?,
            FindingKind::Unknown => f.write_str(": the replay does not have this row")?,
            FindingKind::Columns(columns) => {
                for (name, tables, replay) in columns {
                    write!(
                        f,
                        "; {name} is {tables} in the tables, {replay} in the replay"
                    )?;
                }
            }
        }

        match self.since {
            Some(sequence) => write!(f, "; since event {sequence}"),
            None => f.write_str("; no event of the log concerns it"),
        }
    }
}
