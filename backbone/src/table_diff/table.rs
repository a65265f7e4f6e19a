//! Description of a table that is compared, and replaced row by row.

use crate::contract::Subject;
use crate::ids::{BuyerId, SellerId};

use super::value::{Kind, Value};

/// A column, by its name in the statements.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Name of the column.
    pub name: &'static str,
    /// Meaning of its values.
    pub kind: Kind,
}

impl Column {
    /// Describes a column.
    pub const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind }
    }
}

/// A table that a projection keeps.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Name of the table.
    pub name: &'static str,
    /// Statement that reads all columns of the rows from a key on, in its order. Its parameters are
    /// the columns of the key, and the largest number of rows.
    pub page: &'static str,
    /// Columns that are compared. The key comes first, of numbers and ids.
    pub columns: &'static [Column],
    /// Number of columns in the key.
    pub key: usize,
    /// Columns that are not compared, because the log does not determine them.
    pub ignored: &'static [&'static str],
    /// Place of the sequence of the event that wrote a row last.
    pub touched: Touched,
    /// Number of the column that names the subject of an event that was set aside; `None` for
    /// other tables. Such a table has few rows.
    pub subject_text: Option<usize>,
    /// Statements that replace rows; `None` for a table that a rebuild keeps.
    pub replacement: Option<Replacement>,
}

/// Place of the sequence of the event that wrote a row last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touched {
    /// The column of this number.
    Column(usize),
    /// The log: the newest event of the access of the first two columns, seller and buyer.
    Access,
}

/// Statements that replace the rows of one subject, of which each pair is for PostgreSQL and for
/// SQLite. Their parameter is a JSON array of objects with one field for each column.
#[derive(Clone, Copy, Debug)]
pub struct Replacement {
    /// Number of leading columns that name the subject.
    pub subject: usize,
    /// Deletes the rows of subjects.
    pub delete: (&'static str, &'static str),
    /// Inserts rows.
    pub insert: (&'static str, &'static str),
}

impl Touched {
    /// Returns the subject whose newest event wrote the row, if the row does not say the sequence.
    pub(crate) fn subject(self, row: &[Value]) -> Option<Subject> {
        match (self, row) {
            (Self::Access, [Value::Id(seller), Value::Id(buyer), ..]) => Some(Subject::Access {
                seller: SellerId(*seller),
                buyer: BuyerId(*buyer),
            }),
            _ => None,
        }
    }
}
