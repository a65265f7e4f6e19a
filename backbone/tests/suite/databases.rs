//! The seller database on each engine, for stories that must hold on both: SQLite in a folder of
//! its own, PostgreSQL as a database of its own.

use backbone::db::{Db, Migrations};
use backbone::testkit::Services;
use tempfile::TempDir;

/// A database with the seller side's tables.
pub(crate) struct TestDb {
    /// The database.
    pub(crate) db: Db,
    home: Home,
}

enum Home {
    Sqlite(TempDir),
    Postgres {
        url: String,
        _services: Box<Services>,
    },
}

impl TestDb {
    /// In SQLite.
    pub(crate) async fn sqlite() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Self::migrated(Home::Sqlite(folder)).await
    }

    /// In PostgreSQL.
    pub(crate) async fn postgres() -> Self {
        let services = Services::shared_or_private().await;
        let url = services.market().await.seller_database_url;
        Self::migrated(Home::Postgres {
            url,
            _services: Box::new(services),
        })
        .await
    }

    async fn migrated(home: Home) -> Self {
        let db = home.connect();
        db.migrate(&migrations())
            .await
            .expect("the tables can be made");

        Self { db, home }
    }

    /// The same database as another process sees it.
    pub(crate) fn beside(&self) -> Db {
        self.home.connect()
    }

    /// Its URL; none in SQLite.
    pub(crate) fn url(&self) -> Option<&str> {
        match &self.home {
            Home::Sqlite(_) => None,
            Home::Postgres { url, .. } => Some(url),
        }
    }
}

/// The migrations of the seller side.
pub(crate) fn migrations() -> Migrations {
    Migrations {
        postgres: sqlx::migrate!("../migrations/postgres/seller"),
        sqlite: sqlx::migrate!("../migrations/sqlite/seller"),
    }
}

impl Home {
    fn connect(&self) -> Db {
        match self {
            Self::Sqlite(folder) => Db::sqlite("seller database", &folder.path().join("seller.db")),
            Self::Postgres { url, .. } => {
                Db::postgres("seller database", url, 12).expect("the URL is one")
            }
        }
    }
}

/// Makes a test of each story on each engine. A story is a function over [`TestDb`] in the same
/// file.
macro_rules! on_both_engines {
    ($($story:ident,)+) => {
        mod on_sqlite {
            $(
                #[tokio::test]
                async fn $story() {
                    super::$story(crate::databases::TestDb::sqlite().await).await;
                }
            )+
        }
        mod on_postgres {
            $(
                #[tokio::test]
                async fn $story() {
                    super::$story(crate::databases::TestDb::postgres().await).await;
                }
            )+
        }
    };
}
pub(crate) use on_both_engines;
