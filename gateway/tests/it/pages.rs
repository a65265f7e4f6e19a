//! The pages for people: there, whole, and closed to everything from elsewhere. What a browser makes of them is tested
//! beside their sources, in `web/`.

use backbone::accounts::Role;
use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Client, TestApp, on_both};

on_both!(graphiql_is_served_whole);

async fn graphiql_is_served_whole(app: TestApp) {
    let visitor = Client::new(&app.url(), None);
    let get = async |path: &str| visitor.rest(Method::GET, path, None).await;
    let text = |body: &Value| body.as_str().expect("a text").to_owned();
    for path in ["/", "/graphiql", "/graphiql/"] {
        let page = get(path).await;
        assert_eq!(
            (page.status, &page.headers["content-type"]),
            (200, &"text/html".parse().expect("a value"))
        );
        let policy = page.headers["content-security-policy"]
            .to_str()
            .expect("a text");
        assert!(
            policy.starts_with("default-src 'self';") && !policy.contains("script-src"),
            "{policy}"
        );
        assert!(
            !text(&page.body).contains("://"),
            "nothing is loaded from elsewhere"
        );
    }
    let page = text(&get("/graphiql").await.body);
    let assets: Vec<&str> = page
        .split('"')
        .filter(|part| part.starts_with("/graphiql/"))
        .collect();
    assert!(assets.len() > 2, "{page}");
    for asset in assets {
        let found = get(asset).await;
        assert_eq!(found.status, 200, "{asset}");
        assert!(
            found.headers.contains_key("content-security-policy"),
            "{asset}: workers take theirs from here"
        );
        let for_ever = found.headers["cache-control"]
            .to_str()
            .expect("a text")
            .contains("immutable");
        assert_eq!(for_ever, asset.contains("/assets/"), "{asset}");
        let again = visitor
            .request(Method::GET, asset)
            .header("if-none-match", &found.headers["etag"]);
        assert_eq!(
            again.send().await.expect("the gateway answers").status(),
            304,
            "{asset}"
        );
    }
    assert_eq!(get("/graphiql/nothing.js").await.code(), "NOT_FOUND");

    let config = get("/graphiql/config.json").await.body;
    assert_eq!(config["sellerKey"], crate::kit::SELLER_KEY, "{config}");
    let sellers = app.app.backends().sellers.accounts();
    let key = sellers
        .holder(backbone::accounts::KeyHash::of(crate::kit::SELLER_KEY))
        .await;
    let key = key
        .expect("the database is there")
        .expect("the demo has it");
    assert_eq!(key.role, Role::Seller);
    sellers
        .revoke(key.key_id)
        .await
        .expect("the database is there");
    let closed = async || get("/graphiql/config.json").await.body == json!({ "demo": false });
    backbone::testkit::wait_until(
        crate::kit::DEADLINE,
        "a market without public keys shows none",
        closed,
    )
    .await;
    app.stop().await;
}
