//! A statement that is assembled at run time from constant text and bound values, for either
//! engine.

use std::borrow::Cow;

use sqlx::QueryBuilder;
use sqlx::postgres::Postgres;
use sqlx::sqlite::Sqlite;
use uuid::Uuid;

/// Pieces of a statement, in order.
#[derive(Debug, Default)]
pub(super) struct Statement(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Text(&'static str),
    Either {
        postgres: &'static str,
        sqlite: &'static str,
    },
    Count(u32),
    Id(Uuid),
    Number(i64),
    Name(Cow<'static, str>),
}

/// Expands to the same loop for either engine: `QueryBuilder` is generic, but its binds are not.
macro_rules! builder {
    ($pieces:expr, $engine:ty, $dialect:ident) => {{
        // The builder numbers the parameters in the order of the pieces.
        let mut builder = QueryBuilder::<$engine>::new("");
        for piece in $pieces {
            match piece {
                Piece::Text(text) => builder.push(*text),
                Piece::Either { $dialect: text, .. } => builder.push(*text),
                Piece::Count(count) => builder.push(count),
                Piece::Id(id) => builder.push_bind(*id),
                Piece::Number(number) => builder.push_bind(*number),
                Piece::Name(name) => builder.push_bind(name.clone()),
            };
        }
        builder
    }};
}

impl Statement {
    /// Adds constant text.
    pub(super) fn text(&mut self, text: &'static str) -> &mut Self {
        self.push(Piece::Text(text))
    }

    /// Adds text that differs between the engines.
    pub(super) fn either(&mut self, postgres: &'static str, sqlite: &'static str) -> &mut Self {
        self.push(Piece::Either { postgres, sqlite })
    }

    /// Adds a number as text, so that the planner knows it. Only for numbers with few values, since
    /// every one makes a statement of its own to prepare.
    pub(super) fn count(&mut self, count: u32) -> &mut Self {
        self.push(Piece::Count(count))
    }

    /// Binds an id.
    pub(super) fn id(&mut self, id: Uuid) -> &mut Self {
        self.push(Piece::Id(id))
    }

    /// Binds a number.
    pub(super) fn number(&mut self, number: i64) -> &mut Self {
        self.push(Piece::Number(number))
    }

    /// Binds a name, which is a constant nearly always.
    pub(super) fn name(&mut self, name: impl Into<Cow<'static, str>>) -> &mut Self {
        self.push(Piece::Name(name.into()))
    }

    /// Adds `column IN (a, b, …)`, which is true for no row if `of` is empty.
    pub(super) fn any_of<T: Copy>(
        &mut self,
        column: &'static str,
        of: &[T],
        bind: fn(&mut Self, T) -> &mut Self,
    ) {
        self.text(column).text(" IN (");

        for (index, value) in of.iter().enumerate() {
            if index > 0 {
                self.text(", ");
            }

            bind(self, *value);
        }

        // An empty list is a syntax error in PostgreSQL, and NULL equals nothing.
        self.text(if of.is_empty() { "NULL)" } else { ")" });
    }

    /// Returns the same statement with a text in front.
    #[cfg(feature = "testkit")]
    pub(super) fn after(mut self, text: &'static str) -> Self {
        self.0.insert(0, Piece::Text(text));
        self
    }

    fn push(&mut self, piece: Piece) -> &mut Self {
        self.0.push(piece);
        self
    }

    pub(super) fn for_postgres(&self) -> QueryBuilder<Postgres> {
        builder!(&self.0, Postgres, postgres)
    }

    pub(super) fn for_sqlite(&self) -> QueryBuilder<Sqlite> {
        builder!(&self.0, Sqlite, sqlite)
    }
}
