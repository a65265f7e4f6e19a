//! Documents over HTTP: what they mean, in which form they are refused, and how large a result may be.

use serde_json::{Value, json};

use crate::kit::{BUYER_KEY, Backing, CREATE, Client, SELLER_KEY, TestApp};

const DEAL: &str = "query($id: ID!) { deal(id: $id) { name version discount { percentage } } }";

/// Creates a deal with a discount, and returns its id.
async fn discounted_deal(seller: &Client) -> String {
    let input = json!({ "name": "discounted", "totalPrice": 129900.0, "currency": "GBP",
                        "discount": { "percentage": 50 }, "items": [{ "name": "item", "price": 1 }] });
    let created = seller.data(CREATE, json!({ "input": input })).await;
    let id = &created["createDeal"]["deal"]["id"];

    id.as_str().expect("a deal has an id").to_owned()
}

async fn executed(client: &Client, query: &str, variables: Value) -> Value {
    client.execute(query, variables).await.body
}

#[tokio::test]
async fn mutations_write_what_their_documents_mean() {
    let app = TestApp::start(Backing::Embedded).await;
    let seller = app.client(SELLER_KEY);
    let id = discounted_deal(&seller).await;

    // A variable that is not sent is an absent field, not null.
    let text = "mutation U($id: ID!, $n: String, $d: DiscountInput) {
        updateDeal(input: { id: $id, name: $n, discount: $d }) { deal { version } } }";
    let renamed = json!({ "id": id, "n": "renamed" });
    seller.data(text, renamed).await;
    app.caught_up().await;
    let deal = seller.data(DEAL, json!({ "id": id })).await;
    assert_eq!(
        deal["deal"],
        json!({ "name": "renamed", "version": 2, "discount": { "percentage": 50.0 } })
    );

    // Null removes the discount.
    seller.data(text, json!({ "id": id, "d": null })).await;
    app.caught_up().await;
    let deal = seller.data(DEAL, json!({ "id": id })).await;
    assert_eq!(deal["deal"]["discount"], Value::Null);

    // Two fragments that select the same field are one call.
    let twice = "mutation { ...A ...B }
        fragment A on Mutation { createDeal(input: { name: \"once \\uD83D\\uDE00\", totalPrice: 1, currency: \"GBP\",
            items: [{ name: \"item\", price: 1 }] }) { deal { id } } }
        fragment B on Mutation { createDeal(input: { name: \"once \\uD83D\\uDE00\", totalPrice: 1, currency: \"GBP\",
            items: [{ name: \"item\", price: 1 }] }) { position deal { name } } }";
    let created = seller.data(twice, json!({})).await["createDeal"].take();
    assert_eq!(created["deal"]["name"], "once 😀");

    let list = "query($p: Position) { dealsForSeller(minPosition: $p) { nodes { name } } }";
    let list = seller.data(list, json!({ "p": created["position"] })).await;
    let nodes = list["dealsForSeller"]["nodes"].as_array();
    let named = |node: &&Value| node["name"] == "once 😀";
    assert_eq!(nodes.expect("it is a list").iter().filter(named).count(), 1);

    app.stop().await;
}

#[tokio::test]
async fn mistyped_literals_are_refused_and_nothing_is_written() {
    let app = TestApp::start(Backing::Embedded).await;
    let seller = app.client(SELLER_KEY);
    let id = discounted_deal(&seller).await;

    let refused = [
        "mutation($id: ID!) { updateDeal(input: { id: $id, expectedVersoin: 9, name: \"x\" }) { deal { id } } }",
        "mutation($id: ID!) { updateDeal(input: { id: $id, name: \"x\", name: \"y\" }) { deal { id } } }",
        "mutation($id: ID!) { updateDeal(input: { id: $id, totalPrice: 0.5 }) { deal { id } } }",
        "mutation($id: ID!) { updateDeal(input: { id: $id, discount: { amount: 1, percentage: 2 } }) { deal { id } } }",
    ];
    for text in refused {
        let body = executed(&seller, text, json!({ "id": id })).await;
        assert_eq!(body.get("data"), None, "{text}: {body}");
        let location = &body["errors"][0]["locations"][0];
        assert!(
            location["line"] == 1 && location["column"].as_u64() > Some(1),
            "{body}"
        );
    }

    app.caught_up().await;
    let deal = seller.data(DEAL, json!({ "id": id })).await;
    assert_eq!(deal["deal"]["version"], 1);
    app.stop().await;
}

#[tokio::test]
async fn failed_fields_are_null_and_non_null_ones_null_all_data() {
    let app = TestApp::start(Backing::Embedded).await;
    let buyer = app.client(BUYER_KEY);

    let text = "{ __typename dealsForSeller(first: 1) { nodes { id } } viewer { role } }";
    let answer = buyer.execute(text, json!({})).await;
    let keys: Vec<&String> = match &answer.body["data"] {
        Value::Object(data) => data.keys().collect(),
        other => panic!("data is an object: {other}"),
    };
    assert_eq!(keys.len(), 3, "{}", answer.body);
    assert_eq!(answer.body["data"]["dealsForSeller"], Value::Null);
    assert_eq!(answer.body["data"]["viewer"]["role"], "BUYER");
    assert_eq!(answer.body["errors"][0]["path"], json!(["dealsForSeller"]));
    assert_eq!(answer.code(), "FORBIDDEN");

    let text = "mutation { a: deleteWebhook(id: \"1\") { id } b: deleteWebhook(id: \"2\") { id } }";
    let body = executed(&buyer, text, json!({})).await;
    assert_eq!(body["data"], Value::Null);
    assert_eq!(
        body["errors"].as_array().map(Vec::len),
        Some(1),
        "nothing more is written after the first failure: {body}"
    );

    app.stop().await;
}

#[tokio::test]
async fn variables_have_their_defaults_and_every_wrong_one_is_told() {
    let app = TestApp::start(Backing::Embedded).await;
    let buyer = app.client(BUYER_KEY);

    let text = "query($with: Boolean = true, $o: DealOrder, $n: Int) {
        viewer { name @include(if: $with) } dealsForBuyer(orderBy: $o, first: $n) { nodes { id } } }";
    let data = buyer.data(text, json!({ "n": 2.0 })).await;
    assert_eq!(
        data["viewer"]["name"].as_str().map(str::is_empty),
        Some(false)
    );
    assert_eq!(
        data["dealsForBuyer"]["nodes"].as_array().map(Vec::len),
        Some(2)
    );

    let refused = buyer
        .execute(text, json!({ "n": 2.5, "o": "NEWEST", "with": 1 }))
        .await;
    assert_eq!(refused.code(), "BAD_USER_INPUT");
    assert_eq!(refused.paths(), ["with", "o", "n"]);
    assert_eq!(refused.body.get("data"), None);

    // Whoever has no key is not told what is wrong with a hundred values.
    let ids: Vec<Value> = (0..60).map(|number| json!([number])).collect();
    let many = "query($f: DealFilter) { dealsForBuyer(filter: $f) { nodes { id } } }";
    let filter = json!({ "f": { "sellerIds": ids } });
    let stranger = Client::new(&app.url(), None);
    assert_eq!(
        stranger.execute(many, filter.clone()).await.code(),
        "UNAUTHENTICATED"
    );
    assert_eq!(buyer.execute(many, filter).await.paths().len(), 50);

    app.stop().await;
}

#[tokio::test]
async fn results_are_bounded_by_cost_and_by_bytes() {
    let app = TestApp::start(Backing::Embedded).await;
    let app = app
        .restarted_with(|config| config.execution.result_bytes = 500)
        .await;
    let buyer = app.client(BUYER_KEY);

    let page = "dealsForBuyer(first: 100) { nodes { items { id name price } } edges { node { items { id name price } } } }";
    let aliases: String = (0..19)
        .map(|number| format!("a{number}: {page} "))
        .collect();
    let answer = buyer.execute(&format!("{{ {aliases} }}"), json!({})).await;
    assert_eq!(answer.code(), "QUERY_TOO_COMPLEX");
    let message = answer.body["errors"][0]["message"]
        .as_str()
        .unwrap_or_default();
    assert!(message.contains("at most 100000"), "{message}");

    let large = "{ dealsForBuyer(first: 20) { nodes { id name items { name } createdAt updatedAt sellerId } } }";
    let answer = buyer.execute(large, json!({})).await;
    assert_eq!(answer.code(), "QUERY_TOO_COMPLEX", "{}", answer.body);
    let message = answer.body["errors"][0]["message"]
        .as_str()
        .unwrap_or_default();
    assert!(message.contains("more than 500 bytes"), "{message}");

    // What was written is told, however large it is.
    let seller = app.client(SELLER_KEY);
    let items: Vec<Value> = (0..100)
        .map(|number| json!({ "name": format!("item {number}"), "price": 1 }))
        .collect();
    let input = json!({ "name": "large", "totalPrice": 1, "currency": "GBP", "items": items });
    let text = "mutation($input: CreateDealInput!) { createDeal(input: $input) { deal { items { id name } } } }";
    let created = seller.data(text, json!({ "input": input })).await;
    assert_eq!(
        created["createDeal"]["deal"]["items"]
            .as_array()
            .map(Vec::len),
        Some(100)
    );

    app.stop().await;
}

#[tokio::test]
async fn objects_are_rendered_once_and_copied_afterwards() {
    let app = TestApp::start(Backing::Embedded).await;
    let buyer = app.client(BUYER_KEY);
    let page = "{ dealsForBuyer(first: 10) { nodes { id name totalPrice finalPrice status items { id name } } } }";

    let first = buyer.data(page, json!({})).await;
    let renders = app.metric("dealwire_object_renders").await;
    let second = buyer.data(page, json!({})).await;

    assert_eq!(first, second);
    assert_eq!(app.metric("dealwire_object_renders").await, renders);
    let nodes = first["dealsForBuyer"]["nodes"].as_array();
    let nodes = nodes.map_or(0, Vec::len) as u64;
    assert!(
        nodes > 1 && renders >= nodes,
        "{nodes} nodes, {renders} renders"
    );
    assert!(app.metric("dealwire_object_copies").await >= nodes);
    assert!(app.metric("dealwire_object_bytes_kept").await > 0);
    app.stop().await;
}
