//! The log's file as an import writes it: messages at given sequences, many in one transaction.

use std::path::Path;

use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::types::Json;

use super::{GET, Row, broken, fetched, head_of, unavailable};
use crate::event_log::record::{Stored, id_of};
use crate::position::Sequence;
use crate::{Error, random};

const IMPORT: &str = include_str!("import.sqlite.sql");

/// The file, opened by one import. Nobody else has it open.
pub(in crate::event_log) struct Import(SqlitePool);

impl Import {
    pub(in crate::event_log) async fn open(file: &Path) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);

        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .map_err(broken)?;

        sqlx::migrate!("../migrations/sqlite/log")
            .run(&pool)
            .await
            .map_err(broken)?;
        Ok(Self(pool))
    }

    pub(in crate::event_log) async fn head(&self) -> Result<Sequence, Error> {
        head_of(&self.0).await.map_err(unavailable)
    }

    pub(in crate::event_log) async fn get(
        &self,
        sequence: Sequence,
    ) -> Result<Option<Stored>, Error> {
        let row: Option<Row> = fetched(
            sqlx::query_as(GET)
                .bind(sequence as i64)
                .fetch_optional(&self.0),
        )
        .await?;

        Ok(row.map(Stored::from))
    }

    /// Stores all of the messages or none.
    pub(in crate::event_log) async fn store(&self, batch: &[Stored]) -> Result<(), Error> {
        let mut tx = self.0.begin().await.map_err(unavailable)?;
        for stored in batch {
            let headers = &stored.message.headers;
            let id = id_of(&stored.message).map(|id| id.0);

            // Ids keep an append from being stored twice. A message that has none, or that of
            // another message, was never appended by this project and needs no such protection.
            sqlx::query(IMPORT)
                .bind(stored.sequence as i64)
                .bind(id)
                .bind(random::random_id())
                .bind(&stored.subject)
                .bind(Json(headers))
                .bind(stored.message.body.as_ref())
                .execute(&mut *tx)
                .await
                .map_err(unavailable)?;
        }

        tx.commit().await.map_err(unavailable)
    }

    pub(in crate::event_log) async fn close(self) {
        self.0.close().await;
    }
}
