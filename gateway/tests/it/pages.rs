//! Pages for people: complete, and closed to everything from other hosts. Their behaviour in a
//! browser is tested beside their sources, in `web/`.

use backbone::accounts::{KeyHash, Role};
use backbone::testkit::wait_until;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::kit::{Answer, Client, DEADLINE, SELLER_KEY, TestApp, on_both};

on_both!(
    graphiql_is_served_without_other_hosts,
    graphiql_shows_keys_only_where_they_are_public
);

async fn get(visitor: &Client, path: &str) -> Answer {
    visitor.rest(Method::GET, path, None).await
}

fn text(body: &Value) -> &str {
    body.as_str().expect("the body is text")
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers[name].to_str().expect("the header is ASCII")
}

async fn graphiql_is_served_without_other_hosts(app: TestApp) {
    let visitor = Client::new(&app.url(), None);

    for path in ["/", "/graphiql", "/graphiql/"] {
        let page = get(&visitor, path).await;
        assert_eq!(
            (page.status, header(&page.headers, "content-type")),
            (200, "text/html")
        );

        let policy = header(&page.headers, "content-security-policy");
        assert!(
            policy.starts_with("default-src 'self';") && !policy.contains("script-src"),
            "{policy}"
        );
        assert!(
            !text(&page.body).contains("://"),
            "nothing is loaded from other hosts"
        );
    }

    check_assets(&visitor).await;

    let missing = get(&visitor, "/graphiql/nothing.js").await;
    assert_eq!(missing.code(), "NOT_FOUND");
    app.stop().await;
}

/// Loads every file that the page names, twice.
async fn check_assets(visitor: &Client) {
    let page = get(visitor, "/graphiql").await;
    let assets: Vec<&str> = text(&page.body)
        .split('"')
        .filter(|part| part.starts_with("/graphiql/"))
        .collect();
    assert!(assets.len() > 2, "{}", page.body);

    for asset in assets {
        let found = get(visitor, asset).await;
        assert_eq!(found.status, 200, "{asset}");
        assert!(
            found.headers.contains_key("content-security-policy"),
            "{asset}: a worker has the policy of its own file"
        );

        let immutable = header(&found.headers, "cache-control").contains("immutable");
        assert_eq!(immutable, asset.contains("/assets/"), "{asset}");

        let again = visitor
            .request(Method::GET, asset)
            .header("if-none-match", &found.headers["etag"]);
        let again = again.send().await.expect("the gateway responds");
        assert_eq!(again.status(), 304, "{asset}");
    }
}

async fn graphiql_shows_keys_only_where_they_are_public(app: TestApp) {
    let visitor = Client::new(&app.url(), None);
    let config = async || get(&visitor, "/graphiql/config.json").await.body;

    let demo = config().await;
    assert_eq!(demo["sellerKey"], SELLER_KEY, "{demo}");

    let sellers = app.app.backends().sellers.accounts();
    let key = sellers
        .holder(KeyHash::of(SELLER_KEY))
        .await
        .expect("the database is available")
        .expect("the demo has the key");
    assert_eq!(key.role, Role::Seller);

    sellers
        .revoke(key.key_id)
        .await
        .expect("the database is available");
    wait_until(
        DEADLINE,
        "a market without public keys shows none",
        async || config().await == json!({ "demo": false }),
    )
    .await;
    app.stop().await;
}
