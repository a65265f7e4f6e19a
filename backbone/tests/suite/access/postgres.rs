//! PostgreSQL with TLS and passwords of any characters.

use backbone::db::Db;
use backbone::on_db;
use backbone::testkit::PostgresServer;
use sqlx::{Connection, Executor, PgConnection};

use super::certificates::{Authority, text};

#[tokio::test]
async fn postgres_with_tls_is_verified_and_takes_any_password() {
    let files = Authority::new();
    let identity = files.issue("server");
    let read = |path: &std::path::Path| std::fs::read_to_string(path).expect("it was written");
    let postgres = PostgresServer::with_tls(&read(&identity.cert), &read(&identity.key)).await;
    let mut admin = PgConnection::connect(&postgres.url())
        .await
        .expect("it is up");
    admin
        .execute(r#"CREATE ROLE "deal@wire" LOGIN PASSWORD 'p@ss/w:rd?#&'; GRANT CREATE ON SCHEMA public TO "deal@wire""#)
        .await
        .expect("it is ours");

    let url = |credentials: &str, ca: &std::path::Path| {
        let url = postgres.url().replace(
            "postgres://postgres@",
            &format!("postgres://{credentials}@"),
        );
        format!("{url}?sslmode=verify-full&sslrootcert={}", text(ca))
    };
    let right = "deal%40wire:p%40ss%2Fw%3Ard%3F%23%26";
    let db = Db::postgres("seller database", &url(right, &files.ca()), 2).expect("the URL is one");
    let encrypted: bool = on_db!(db.read(), pool =>
        sqlx::query_scalar("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").fetch_one(pool).await)
    .expect("it is reached");
    assert!(encrypted);
    db.migrate(&crate::databases::migrations())
        .await
        .expect("migrations use the same settings");

    let wrong = Db::postgres(
        "seller database",
        &url("deal%40wire:wrong-secret", &files.ca()),
        2,
    );
    let why = wrong
        .expect("the URL is one")
        .describe()
        .await
        .expect_err("it is refused");
    assert!(
        why.to_string().contains("password authentication failed"),
        "{why}"
    );
    assert!(!why.to_string().contains("wrong-secret"), "{why}");

    let stranger = Authority::new();
    let distrusting = Db::postgres("seller database", &url(right, &stranger.ca()), 2);
    let why = distrusting
        .expect("the URL is one")
        .describe()
        .await
        .expect_err("it is refused");
    assert!(why.to_string().contains("certificate"), "{why}");

    let in_clear = postgres
        .url()
        .replace("postgres://postgres@", &format!("postgres://{right}@"));
    let in_clear = Db::postgres("seller database", &format!("{in_clear}?sslmode=disable"), 2);
    let refused = in_clear.expect("the URL is one").describe().await;
    assert!(refused.is_err(), "{refused:?}");
}
