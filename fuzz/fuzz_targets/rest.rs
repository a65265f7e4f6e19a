//! Requests of REST: bodies, query strings, numbers, and the headers of negotiation and preconditions.
#![no_main]

use gateway::http::testkit;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    testkit::bodies(input);
    testkit::headers(input);

    if let Ok(text) = std::str::from_utf8(input) {
        testkit::queries(text);
        testkit::integer(text);
    }
});
