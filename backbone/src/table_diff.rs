//! Comparison of one table in two databases, of the same engine or not: both are read in the order
//! of their keys and merged, so that it takes the memory of two pages however large they are.

pub(crate) mod rows;
mod table;
mod value;

pub use rows::Row;
pub use table::{Column, Replacement, Table, Touched};
pub use value::{Kind, Value};

use std::cmp::Ordering;

use self::rows::Rows;
use crate::Error;
use crate::db::Tx;

/// A row that the two tables do not have alike.
#[derive(Clone, Debug, PartialEq)]
pub struct RowDifference {
    /// The row of the first table; `None` if only the second has it.
    pub left: Option<Row>,
    /// The row of the second table; `None` if only the first has it.
    pub right: Option<Row>,
}

impl RowDifference {
    /// Returns the values of the leading columns of the row, `count` of them.
    pub fn key(&self, count: usize) -> &[Value] {
        let row = self.left.as_ref().or(self.right.as_ref());
        &row.expect("one of the tables has the row").0[..count]
    }
}

/// Comparison of one table in two databases.
pub struct TableDiff<'a> {
    table: &'a Table,
    left: Rows<'a>,
    right: Rows<'a>,
    compared: u64,
}

impl<'a> TableDiff<'a> {
    /// Begins at the first row of both tables, or, for a table that is ordered by sequences, after
    /// the sequence `after`.
    pub fn new(table: &'a Table, after: Option<i64>) -> Self {
        Self {
            table,
            left: Rows::new(table, after),
            right: Rows::new(table, after),
            compared: 0,
        }
    }

    /// Returns how many rows have been compared.
    pub fn compared(&self) -> u64 {
        self.compared
    }

    /// Reads on to the next row that differs, in the order of the keys; `None` at the end.
    pub async fn next(
        &mut self,
        left: &mut Tx,
        right: &mut Tx,
    ) -> Result<Option<RowDifference>, Error> {
        loop {
            self.left.fill(left).await?;
            self.right.fill(right).await?;

            let order = match (self.left.first(), self.right.first()) {
                (None, None) => return Ok(None),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(a), Some(b)) => a.key_order(b, self.table.key),
            };

            // The one that comes first in the order is missing from the other table.
            let left = order.is_le().then(|| self.left.take()).flatten();
            let right = order.is_ge().then(|| self.right.take()).flatten();
            self.compared += 1;

            if left != right {
                return Ok(Some(RowDifference { left, right }));
            }
        }
    }
}
