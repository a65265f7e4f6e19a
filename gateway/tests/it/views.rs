//! Pages from memory over HTTP: they are used where buyers poll, they are right, and they are not used by a gateway that
//! hears nothing.

use backbone::testkit::wait_until;
use serde_json::{Value, json};

use crate::kit::{BUYER_KEY, Client, DEADLINE, SELLER_KEY, TestApp, on_both};

on_both!(
    page_that_is_polled_comes_from_memory_and_shows_each_change,
    cursor_of_a_page_from_memory_leads_on,
);

const DEALS: &str = "query($first: Int, $after: String, $at: Position) {
    dealsForBuyer(first: $first, after: $after, minPosition: $at) {
        nodes { name version } position pageInfo { hasNextPage endCursor } } }";

const HITS: &str = "dealwire_view_hits_total";

async fn page(buyer: &Client, variables: Value) -> Value {
    buyer.data(DEALS, variables).await["dealsForBuyer"].take()
}

/// Polls a page until one has come from memory.
async fn warmed_up(buyer: &Client, variables: &Value) {
    wait_until(DEADLINE, "a page comes from memory", async || {
        page(buyer, variables.clone()).await;
        buyer.metric(HITS).await.is_some_and(|hits| hits > 0)
    })
    .await;
}

async fn page_that_is_polled_comes_from_memory_and_shows_each_change(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let buyer = app.client(BUYER_KEY);
    let created = seller.create("polled").await;
    let id = created["deal"]["id"].as_str().expect("a deal has an id");
    warmed_up(&buyer, &json!({ "first": 2 })).await;

    let before = app.metric(HITS).await;
    for number in 0..20 {
        let name = format!("name {number}");
        let written = seller.rename(id, &name).await;

        let read = json!({ "first": 2, "at": written["position"] });
        assert_eq!(page(&buyer, read).await["nodes"][0]["name"], name);
    }
    assert!(
        app.metric(HITS).await > before,
        "no page came from memory although its seller's feed was live"
    );

    app.stop().await;
}

async fn cursor_of_a_page_from_memory_leads_on(app: TestApp) {
    let seller = app.client(SELLER_KEY);
    let buyer = app.client(BUYER_KEY);
    for number in 0..9 {
        seller.create(&format!("deal {number}")).await;
    }
    app.caught_up().await;
    warmed_up(&buyer, &json!({ "first": 3 })).await;

    let mut names = Vec::new();
    let mut after = Value::Null;
    for _ in 0..3 {
        let page = page(&buyer, json!({ "first": 3, "after": after })).await;
        let nodes = page["nodes"].as_array().expect("a page has deals");
        names.extend(nodes.iter().map(|deal| deal["name"].clone()));
        after = page["pageInfo"]["endCursor"].clone();
    }

    let expected: Vec<String> = (0..9)
        .rev()
        .map(|number| format!("deal {number}"))
        .collect();
    assert_eq!(names, expected);

    app.stop().await;
}

mod redis {
    use backbone::testkit::Services;

    use super::*;
    use crate::kit::{Process, seed};

    #[tokio::test(flavor = "multi_thread")]
    async fn page_is_read_from_the_tables_while_redis_is_away() {
        // Goal: a gateway that hears nothing does not answer from memory.
        // Method: kill Redis under a page that is polled, change its deal, and restart Redis.
        // Proven: pages are read from the tables meanwhile and are right, and come from memory again afterwards.
        let services = Services::private().await;
        let market = services.market().await;
        let gateway = Process::with_role(&market, "gateway,seller,buyer,webhooks", &[]);
        seed(&market).await;
        gateway.ready().await;

        let seller = Client::new(&gateway.url(), Some(SELLER_KEY));
        let buyer = Client::new(&gateway.url(), Some(BUYER_KEY));
        let created = seller.create("polled").await;
        let id = created["deal"]["id"].as_str().expect("a deal has an id");
        let first = json!({ "first": 2 });
        warmed_up(&buyer, &first).await;

        services.redis().kill();
        let not_live = "dealwire_view_sql_total{reason=\"not_live\"}";
        wait_until(DEADLINE, "the gateway notices", async || {
            let before = buyer.metric(not_live).await;
            for _ in 0..3 {
                page(&buyer, first.clone()).await;
            }
            let after = buyer.metric(not_live).await;
            after == before.map(|before| before + 3)
        })
        .await;

        let hits = buyer.metric(HITS).await;
        for number in 0..5 {
            let name = format!("name {number}");
            let written = seller.rename(id, &name).await;

            let read = json!({ "first": 2, "at": written["position"] });
            assert_eq!(page(&buyer, read).await["nodes"][0]["name"], name);
        }
        assert_eq!(buyer.metric(HITS).await, hits);

        services.redis().restart().await;
        wait_until(DEADLINE, "pages come from memory again", async || {
            page(&buyer, first.clone()).await;
            buyer.metric(HITS).await > hits
        })
        .await;
    }
}
