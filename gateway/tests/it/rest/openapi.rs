//! The description of REST says what the gateway does.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::{DEMO_DEAL, post_body};
use crate::kit::{BUYER_KEY, Client, SELLER_KEY, TestApp, on_both};

on_both!(
    openapi_methods_are_those_of_allow,
    openapi_fields_are_those_of_real_answers,
);

async fn document(app: &TestApp) -> Value {
    let anybody = Client::new(&app.url(), None);
    let answer = anybody.rest(Method::GET, "/openapi.json", None).await;
    assert_eq!(
        (answer.status, &answer.body["openapi"]),
        (200, &json!("3.1.0"))
    );
    assert_eq!(answer.headers["content-type"], "application/json");

    answer.body
}

async fn openapi_methods_are_those_of_allow(app: TestApp) {
    let document = document(&app).await;
    let anybody = Client::new(&app.url(), None);

    for (path, item) in document["paths"].as_object().expect("paths") {
        let mut described: BTreeSet<String> = item
            .as_object()
            .expect("a path is an object")
            .keys()
            .filter(|name| *name != "parameters")
            .map(|method| method.to_uppercase())
            .collect();
        // Every path with GET answers HEAD, as its description says.
        described.insert("HEAD".to_owned());

        let path = path.replace("{id}", DEMO_DEAL);
        for path in [format!("/v1{path}"), path] {
            let options = anybody.rest(Method::OPTIONS, &path, None).await;
            let allow = options.headers["allow"].to_str().expect("ASCII");
            let allowed: BTreeSet<String> = allow.split(',').map(str::to_owned).collect();
            assert_eq!(allowed, described, "{path}");
        }
    }
    app.stop().await;
}

/// Names of an object's members.
fn names(object: &Value) -> BTreeSet<&str> {
    let object = object.as_object().expect("an object");
    object.keys().map(String::as_str).collect()
}

async fn openapi_fields_are_those_of_real_answers(app: TestApp) {
    let document = document(&app).await;
    let schemas = &document["components"]["schemas"];
    let seller = app.client(SELLER_KEY);
    let buyer = app.client(BUYER_KEY);

    let created = seller.rest(Method::POST, "/deal", Some(post_body())).await;
    assert_eq!(names(&created.body), names(&schemas["Deal"]["properties"]));
    assert_eq!(
        names(&created.body["items"][0]),
        names(&schemas["Item"]["properties"])
    );

    // A body of every described field is accepted, and each of them can be sent.
    let mut full = created.body.clone();
    full["expectedVersion"] = json!(1);
    assert_eq!(names(&full), names(&schemas["Replacement"]["properties"]));
    let put = seller.rest(Method::PUT, "/deal", Some(full)).await;
    assert_eq!(put.status, 200, "{put:?}");

    app.caught_up().await;
    let listed = buyer.rest(Method::GET, "/deal?first=1", None).await;
    let position = listed.headers["dealwire-position"].to_str().expect("ASCII");
    let mut renamed = created.body.clone();
    renamed["name"] = json!("Renamed");
    seller.rest(Method::PUT, "/deal", Some(renamed)).await;

    let path = format!("/changes?after={position}&wait=10");
    let pulled = buyer.rest(Method::GET, &path, None).await;
    assert_eq!(
        names(&pulled.body),
        names(&schemas["Changes"]["properties"])
    );
    let change = &pulled.body["changes"][0];
    assert_eq!(names(change), names(&schemas["Change"]["properties"]));

    let wrong = seller.rest(Method::POST, "/deal", Some(json!({}))).await;
    let known = names(&schemas["Problem"]["properties"]);
    assert!(names(&wrong.body).is_subset(&known), "{wrong:?}");

    app.stop().await;
}
