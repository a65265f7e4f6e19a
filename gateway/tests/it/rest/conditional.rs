//! Conditional requests: what `GET` gave can be sent back, and entity tags stand for the expected version.

use reqwest::Method;
use serde_json::{Value, json};

use super::{DEMO_DEAL, post_body, send};
use crate::kit::{BUYER_KEY, Client, SELLER_KEY, TestApp, on_both};

on_both!(
    what_get_gave_can_be_put_back,
    preconditions_of_writes_are_the_expected_version,
    preconditions_of_reads_save_the_body,
    whole_numbers_are_prices_however_they_are_written,
    reads_wait_for_a_position,
);

/// Path of the demo's deal.
fn path() -> String {
    format!("/deal/{DEMO_DEAL}")
}

async fn what_get_gave_can_be_put_back(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let read = seller.rest(Method::GET, &path(), None).await;
    let tag = read.headers["etag"].to_str().expect("a tag is ASCII");
    assert_eq!(tag, "\"1\"");

    for path in ["/deal", "/v1/deal", &path()] {
        let put = seller
            .rest(Method::PUT, path, Some(read.body.clone()))
            .await;
        assert_eq!((put.status, &put.body), (200, &read.body), "{path}");
        assert_eq!(put.headers["etag"], tag);
    }

    let mut renamed = read.body.clone();
    renamed["name"] = json!("Renamed");
    let put = seller.rest(Method::PUT, &path(), Some(renamed)).await;
    assert_eq!((put.status, &put.body["version"]), (200, &json!(2)));
    assert_eq!(put.headers["etag"], "\"2\"");

    // The version that was read has passed since: the change of somebody else must not be undone.
    let stale = seller
        .rest(Method::PUT, &path(), Some(read.body.clone()))
        .await;
    assert_eq!((stale.status, stale.code()), (409, "CONFLICT"));
    assert_eq!(stale.body["currentVersion"], 2);

    // Headers decide before the body does.
    let text = read.body.to_string();
    let headers = [("if-match", "\"2\""), ("content-type", "application/json")];
    let put = send(&seller, Method::PUT, &path(), &headers, &text).await;
    assert_eq!((put.status, &put.body["version"]), (200, &json!(3)));
    assert_eq!(put.body["name"], read.body["name"]);

    // A copy: everything but the id.
    let mut copy = put.body.clone();
    copy.as_object_mut().expect("a deal").remove("id");
    copy["items"] = json!([{ "name": "item", "price": 1 }]);
    let copied = seller.rest(Method::POST, "/deal", Some(copy)).await;
    assert_eq!((copied.status, &copied.body["version"]), (201, &json!(1)));
    assert_eq!(copied.headers["etag"], "\"1\"");

    let elsewhere = read.body["items"][0]["id"].as_str().expect("an id");
    let mut other_id = read.body.clone();
    other_id["id"] = json!(elsewhere);
    let refused = seller.rest(Method::PUT, &path(), Some(other_id)).await;
    assert_eq!((refused.status, refused.paths()), (400, vec!["id"]));

    app.stop().await;
}

async fn preconditions_of_writes_are_the_expected_version(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let read = seller.rest(Method::GET, &path(), None).await;
    let body = read.body.to_string();
    let json = ("content-type", "application/json");

    let table = [
        (Method::PUT, vec![("if-match", "\"1\"")], 200),
        (Method::PUT, vec![("if-match", "\"7\", \"1\"")], 200),
        (
            Method::PUT,
            vec![("if-match", "\"7\""), ("if-match", "\"1\"")],
            200,
        ),
        (Method::PUT, vec![("if-match", "*")], 200),
        (Method::PUT, vec![("if-none-match", "\"7\"")], 200),
        (Method::PUT, vec![("if-match", "\"7\"")], 412),
        (Method::PUT, vec![("if-match", "W/\"1\"")], 412),
        (Method::PUT, vec![("if-match", "\"none\"")], 412),
        (Method::PUT, vec![("if-none-match", "*")], 412),
        (Method::PUT, vec![("if-none-match", "W/\"1\"")], 412),
        (
            Method::PUT,
            vec![("if-match", "\"1\""), ("if-none-match", "\"1\"")],
            412,
        ),
        (Method::PUT, vec![("if-match", "1")], 400),
        (Method::PUT, vec![("if-none-match", "\"1")], 400),
    ];
    for (method, headers, status) in table {
        let headers = [headers, vec![json]].concat();
        let answer = send(&seller, method, &path(), &headers, &body).await;
        assert_eq!(answer.status, status, "{headers:?}: {answer:?}");
        if status == 412 {
            assert_eq!(
                (answer.code(), &answer.body["currentVersion"]),
                ("CONFLICT", &json!(1))
            );
            assert_eq!(answer.headers["content-type"], "application/problem+json");
        }
    }

    // Preconditions are looked at last: they do not hide that a deal is missing or a body wrong.
    let missing = "/deal/00000000-0000-4000-8000-000000000000";
    let mut elsewhere = read.body.clone();
    elsewhere.as_object_mut().expect("a deal").remove("id");
    for (path, body, status) in [
        (missing, elsewhere.to_string(), 404),
        (&path(), "{}".to_owned(), 400),
    ] {
        let headers = [("if-match", "\"7\""), json];
        let answer = send(&seller, Method::PUT, path, &headers, &body).await;
        assert_eq!(answer.status, status, "{path}");
    }

    check_creations(&seller).await;
    app.stop().await;
}

/// Creates under preconditions, which are about the list of deals: it exists, and has no tag.
async fn check_creations(seller: &Client) {
    let body = post_body().to_string();
    for (name, value, status) in [
        ("if-match", "*", 201),
        ("if-none-match", "\"1\"", 201),
        ("if-match", "\"1\"", 412),
        ("if-none-match", "*", 412),
    ] {
        let headers = [(name, value), ("content-type", "application/json")];
        let answer = send(seller, Method::POST, "/deal", &headers, &body).await;
        assert_eq!(answer.status, status, "{name}: {value}");
    }
}

async fn preconditions_of_reads_save_the_body(app: TestApp) {
    let buyer = app.client(BUYER_KEY);
    let table = [
        (path(), "if-none-match", "\"1\"", 304),
        (path(), "if-none-match", "W/\"1\"", 304),
        (path(), "if-none-match", "\"x\", \"1\"", 304),
        (path(), "if-none-match", "*", 304),
        (path(), "if-none-match", "\"2\"", 200),
        (path(), "if-match", "\"1\"", 200),
        (path(), "if-match", "W/\"1\"", 412),
        (
            path(),
            "if-modified-since",
            "Mon, 30 Nov 2099 00:00:00 GMT",
            200,
        ),
        ("/deal".to_owned(), "if-none-match", "\"1\"", 200),
        ("/deal".to_owned(), "if-none-match", "*", 304),
    ];

    for (path, name, value, status) in table {
        for method in [Method::GET, Method::HEAD] {
            let answer = send(&buyer, method, &path, &[(name, value)], "").await;
            assert_eq!(answer.status, status, "{path} {name}: {value}");
            if status == 304 {
                assert_eq!(answer.body, "");
                assert_eq!(answer.headers["cache-control"], "private, no-cache");
            }
            if status != 412 && path != "/deal" {
                assert_eq!(answer.headers["etag"], "\"1\"");
            }
        }
    }

    // Pages of the binary have tags too.
    let page = buyer.rest(Method::GET, "/graphiql", None).await;
    let tag = page.headers["etag"].to_str().expect("a tag is ASCII");
    let listed = format!("\"x\", W/{tag}");
    let answer = send(
        &buyer,
        Method::GET,
        "/graphiql",
        &[("if-none-match", &listed)],
        "",
    )
    .await;
    assert_eq!(
        (answer.status, &answer.headers["etag"]),
        (304, &page.headers["etag"])
    );

    app.stop().await;
}

async fn whole_numbers_are_prices_however_they_are_written(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let post = async |price: &str| {
        let body = format!(
            r#"{{"name":"n","totalPrice":{price},"currency":"GBP","items":[{{"name":"i","price":1.0}}]}}"#
        );
        let headers = [("content-type", "application/json")];
        send(&seller, Method::POST, "/deal", &headers, &body).await
    };

    for price in ["129900", "129900.0", "1.299e5", "12990000E-2"] {
        let answer = post(price).await;
        assert_eq!(
            (answer.status, &answer.body["totalPrice"]),
            (201, &json!(129_900)),
            "{price}"
        );
    }
    let largest = post("9007199254740991.00").await;
    assert_eq!(largest.body["totalPrice"], 9_007_199_254_740_991_i64);

    for price in ["129900.5", "9007199254740992.0", "1e300", "-1", "\"1\""] {
        let refused = post(price).await;
        assert_eq!(
            (refused.status, refused.paths()),
            (400, vec!["totalPrice"]),
            "{price}"
        );
    }
    app.stop().await;
}

async fn reads_wait_for_a_position(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let created = seller.rest(Method::POST, "/deal", Some(post_body())).await;
    let position = created.headers["dealwire-position"]
        .to_str()
        .expect("a position is ASCII");
    let location = created.headers["location"].to_str().expect("a path");

    for key in [SELLER_KEY, BUYER_KEY] {
        let client = app.client(key);
        let path = format!("{location}?minPosition={position}");
        let read = client.rest(Method::GET, &path, None).await;
        assert_eq!((read.status, &read.body), (200, &created.body));

        let path = format!("/deal?first=1&minPosition={position}");
        let page = client.rest(Method::GET, &path, None).await;
        assert_eq!(page.body, Value::Array(vec![created.body.clone()]));
    }
    app.stop().await;
}
