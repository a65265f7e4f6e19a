//! GraphQL documents: limits, parsing, validation, plans, coercion and rendering, over the fixtures of `world.json`.
//!
//! The input is the text of a document. What follows its first NUL is the JSON of the variables.
#![no_main]

use std::sync::LazyLock;

use gateway::graphql::Oracle;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use tokio::runtime::{Builder, Runtime};

static ORACLE: LazyLock<Oracle> =
    LazyLock::new(|| Oracle::new(include_str!("../world.json")).expect("the world is valid"));

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let runtime = Builder::new_current_thread().build();
    runtime.expect("a runtime without drivers can be built")
});

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let (query, variables) = text.split_once('\0').unwrap_or((text, "{}"));
    let variables: Map<String, Value> = serde_json::from_str(variables).unwrap_or_default();

    let line = json!({ "query": query, "variables": variables }).to_string();
    let answer = RUNTIME.block_on(ORACLE.answer(&line));
    answer.expect("the line is a request of the protocol");
});
