//! Content encodings: bodies of requests within their limits, and responses for clients that ask.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::{Value, json};

use super::{CHANGES, ROLE, answer, header, post, response, send_body};
use crate::kit::{BUYER_KEY, Backing, Events, SELLER_KEY, TestApp};

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).expect("memory takes all");
    encoder.finish().expect("memory takes all")
}

fn zstd(text: &[u8]) -> Vec<u8> {
    zstd::encode_all(text, 0).expect("memory takes all")
}

fn brotli(text: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::new();
    brotli::CompressorWriter::new(&mut encoded, 4096, 5, 22)
        .write_all(text)
        .expect("memory takes all");
    encoded
}

/// Name of an encoding, and the function that encodes.
type Encoder = (&'static str, fn(&[u8]) -> Vec<u8>);

const ENCODERS: [Encoder; 3] = [("gzip", gzip), ("zstd", zstd), ("br", brotli)];

#[tokio::test]
async fn compressed_bodies_are_read_within_the_limits() {
    let app = TestApp::start(Backing::Embedded).await;
    let seller = app.client(SELLER_KEY);
    let send = async |encoding: &'static str, body: Vec<u8>| {
        let request = send_body(&seller, Method::POST, body);
        answer(request.header("content-encoding", encoding)).await
    };

    let plain =
        json!({ "query": ROLE, "variables": { "unused": "x".repeat(100_000) } }).to_string();
    let padded = |length: usize| format!("{{\"query\":\"{ROLE}\"{}}}", " ".repeat(length));
    for (name, encode) in ENCODERS {
        let encoded = encode(plain.as_bytes());
        assert!(encoded.len() < 1_000, "{name}");
        let cut = encoded[..encoded.len() - 5].to_vec();
        let read = send(name, encoded).await.data();
        assert_eq!(read["viewer"]["role"], "SELLER", "{name}");

        let cut = send(name, cut).await;
        assert_eq!((cut.status, cut.code()), (400, "BAD_REQUEST"), "{name}");

        // A few kilobytes that would be 16 MiB.
        let bomb = encode(padded(16 << 20).as_bytes());
        assert!(bomb.len() < 64 << 10, "{name}: {}", bomb.len());
        let bomb = send(name, bomb).await;
        assert_eq!(
            (bomb.status, bomb.code()),
            (413, "PAYLOAD_TOO_LARGE"),
            "{name}"
        );

        let just_fits = encode(padded((256 << 10) - padded(0).len()).as_bytes());
        assert_eq!(send(name, just_fits).await.status, 200, "{name}");
    }

    // Much that decompresses to nothing: the limit holds for what is sent as well.
    let members = gzip(b"").repeat(20_000);
    assert!(members.len() > 256 << 10);
    assert_eq!(send("gzip", members).await.status, 413);

    for encoding in ["deflate", "gzip, gzip", "x"] {
        let refused = send(encoding, plain.clone().into_bytes()).await;
        assert_eq!(
            (refused.status, refused.code()),
            (415, "UNSUPPORTED_MEDIA_TYPE"),
            "{encoding}"
        );
        assert_eq!(
            header(&refused.headers, "accept-encoding"),
            Some("gzip, zstd, br")
        );
    }

    for content_type in ["text/plain", "application/json; charset=utf-16"] {
        let request = seller.request(Method::POST, "/graphql").body(plain.clone());
        let refused = answer(request.header("content-type", content_type)).await;
        assert_eq!(
            (refused.status, refused.code()),
            (415, "UNSUPPORTED_MEDIA_TYPE")
        );
        assert_eq!(header(&refused.headers, "accept"), Some("application/json"));
        assert_eq!(header(&refused.headers, "accept-encoding"), None);
    }

    // REST reads the same encodings.
    let deal = json!({ "name": "zipped", "totalPrice": 1, "currency": "GBP", "status": "available",
                       "items": [{ "name": "item", "price": 1 }] });
    let create = seller
        .request(Method::POST, "/deal")
        .header("content-encoding", "gzip");
    let create = create.header("content-type", "application/json");
    assert_eq!(
        answer(create.body(gzip(deal.to_string().as_bytes())))
            .await
            .status,
        201
    );

    app.stop().await;
}

#[tokio::test]
async fn long_results_are_compressed_for_clients_that_ask() {
    let app = TestApp::start(Backing::Embedded).await;
    let buyer = app.client(BUYER_KEY);
    let introspection = "{ __schema { types { name fields { name description } } } }";
    let plain = buyer.data(introspection, json!({})).await;

    let encoding_of = async |accept: &'static str, query: &str| {
        let response = response(post(&buyer, query).header("accept-encoding", accept)).await;
        header(response.headers(), "content-encoding").map(str::to_owned)
    };
    for (accept, expected) in [
        ("gzip", Some("gzip")),
        ("zstd, br, gzip", Some("zstd")),
        ("br, gzip;q=0.5", Some("br")),
        ("GZIP;q=0.1, br;q=0", Some("gzip")),
        ("gzip;q=0", None),
        ("deflate", None),
        ("identity", None),
    ] {
        let encoding = encoding_of(accept, introspection).await;
        assert_eq!(encoding.as_deref(), expected, "{accept}");
    }
    assert_eq!(encoding_of("gzip", ROLE).await, None, "it is short");
    let short = response(post(&buyer, ROLE).header("accept-encoding", "gzip")).await;
    assert!(short.headers().contains_key("content-length"));

    let request = post(&buyer, introspection).header("accept-encoding", "zstd");
    let response = response(request).await;
    let vary = response.headers().get_all("vary").iter();
    let vary: Vec<&str> = vary.filter_map(|value| value.to_str().ok()).collect();
    assert_eq!(vary.join(", "), "accept, accept-encoding");
    let body = response.bytes().await.expect("the body can be read");
    let body = zstd::decode_all(&body[..]).expect("the body is compressed");
    let body: Value = serde_json::from_slice(&body).expect("the body is JSON");
    assert_eq!(body["data"], plain);

    check_streams_are_not_compressed(&app).await;
    let app = app
        .restarted_with(|config| config.graphql_http.compression = false)
        .await;
    let request = post(&app.client(BUYER_KEY), introspection).header("accept-encoding", "gzip");
    let response = super::response(request).await;
    assert_eq!(header(response.headers(), "content-encoding"), None);
    app.stop().await;
}

/// Results of a subscription arrive one by one, also where the client accepts compression.
async fn check_streams_are_not_compressed(app: &TestApp) {
    let buyer = app.client(BUYER_KEY);
    let request = post(&buyer, CHANGES).header("accept-encoding", "gzip, br, zstd");
    let mut events = Events::open(request).await;

    app.client(SELLER_KEY).create("pushed").await;
    loop {
        let event = events.next().await.expect("the stream goes on");
        if event
            .get("data")
            .is_some_and(|data| data.contains("pushed"))
        {
            break;
        }
    }
}
