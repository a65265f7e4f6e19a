//! Limits of requests, of documents and of what is written.

use documents::Limits as Document;

use super::super::value::Value::{Bytes, Count, Fixed, FixedBytes, Text, Unit};
use super::{Row, row};
use crate::error::MAX_FIELDS;
use crate::http::MAX_BODY;

pub(super) const REQUESTS: &[Row] = &[
    row(
        "body of a request",
        FixedBytes(MAX_BODY),
        "`PAYLOAD_TOO_LARGE`",
    ),
    row(
        "requests in one GraphQL body",
        Text("1, no batches"),
        "`BAD_REQUEST`",
    ),
    row(
        "operations (queries and mutations) under way, of one account, or of all callers without a key",
        Count("operations-per-account", ""),
        "`RATE_LIMITED`",
    ),
    row(
        "operations under way in all",
        Count("operations", ""),
        "`RATE_LIMITED`",
    ),
    row(
        "time for a read of a database",
        Text("3 s"),
        "`UNAVAILABLE`",
    ),
    row("time for a query", Text("40 s"), "`UNAVAILABLE`"),
    row(
        "page of `changes`",
        Text("500 (100 if not given)"),
        "`BAD_USER_INPUT`",
    ),
    row("wait for `changes`", Text("30 s"), "`BAD_USER_INPUT`"),
    row(
        "changes that one page of `changes` looks at",
        Text("20,000"),
        "the page ends early, with `more`",
    ),
    row(
        "wait for `minPosition`, and for the page that a cursor is of",
        Text("1 s"),
        "`POSITION_NOT_REACHED`",
    ),
    row(
        "page size (`first`, `last`)",
        Text("100 (20 if not given)"),
        "`BAD_USER_INPUT`",
    ),
    row("ids in `filter.sellerIds`", Text("100"), "`BAD_USER_INPUT`"),
    row("length of a token", Text("8 KiB"), "`UNAUTHENTICATED`"),
    row(
        "keys and tokens in use on one gateway, of each database",
        Text("100,000"),
        "`RATE_LIMITED` for tokens that are new",
    ),
    row(
        "keys that `apiKeys` lists",
        Text("1,000, the newest"),
        "older ones are not listed",
    ),
    row(
        "time for which a repeat of `createSeller`, `createBuyer` or `issueApiKey` is recognised",
        Text("24 hours"),
        "a repeat is a new call",
    ),
];

pub(super) const RATES: &[Row] = &[
    row(
        "mutations of one account",
        Unit("mutations-per-minute", "a minute"),
        "`RATE_LIMITED` with `retryAfterMs`",
    ),
    row(
        "fields that the results of one account's queries and subscriptions can have, and one more for each 64 bytes of a document and 1,000 for `__schema` or `__type`",
        Unit("query-cost-per-minute", "a minute"),
        "`RATE_LIMITED` with `retryAfterMs`",
    ),
    row(
        "the same for requests without a key from one client address (IPv6: one /64)",
        Unit("anonymous-cost-per-minute", "a minute"),
        "`RATE_LIMITED` with `retryAfterMs`",
    ),
    row(
        "websockets that one client address opens, and one account",
        Unit("handshakes-per-minute", "a minute"),
        "status 429 for the upgrade; for the account: close 1013",
    ),
    row(
        "invalid keys of one client address",
        Unit("failed-keys-per-minute", "a minute"),
        "`RATE_LIMITED` in place of `UNAUTHENTICATED`; valid keys are accepted all the same",
    ),
    row(
        "callers whose use is remembered, for each of these limits",
        Text("50,000"),
        "those not seen for the longest time begin anew",
    ),
];

pub(super) const DOCUMENTS: &[Row] = &[
    row("size", FixedBytes(Document::BYTES), "`QUERY_TOO_COMPLEX`"),
    row("tokens", Fixed(Document::TOKENS), "`QUERY_TOO_COMPLEX`"),
    row(
        "nesting of brackets, fields and fragments",
        Fixed(Document::NESTING),
        "`QUERY_TOO_COMPLEX`",
    ),
    row(
        "depth of fields, for each operation",
        Fixed(Document::DEPTH),
        "`QUERY_TOO_COMPLEX`",
    ),
    row(
        "selections of all operations, fragments expanded",
        Fixed(Document::SELECTIONS),
        "`QUERY_TOO_COMPLEX`",
    ),
    row(
        "root fields of an operation",
        Fixed(Document::ROOT_FIELDS),
        "`QUERY_TOO_COMPLEX`",
    ),
    row(
        "aliases of an operation, fragments expanded",
        Fixed(Document::ALIASES),
        "`QUERY_TOO_COMPLEX`",
    ),
    row(
        "directives of an operation, fragments expanded",
        Fixed(Document::DIRECTIVES),
        "`QUERY_TOO_COMPLEX`",
    ),
    row(
        "cost: fields that the result can have, from the selections and the sizes of pages",
        Count("max-query-cost", ""),
        "`QUERY_TOO_COMPLEX` before anything is executed",
    ),
    row(
        "result of a query",
        Bytes(
            "max-result-bytes",
            "; results of mutations are not limited beyond their cost",
        ),
        "`QUERY_TOO_COMPLEX`",
    ),
    row(
        "errors and wrong input values told",
        Fixed(MAX_FIELDS),
        "the others are counted",
    ),
];

pub(super) const DEALS: &[Row] = &[
    row(
        "names of deals, items and accounts; labels of keys; idempotency keys",
        Text("1 to 200 characters, no control characters"),
        "`BAD_USER_INPUT`",
    ),
    row(
        "prices and amounts",
        Text("0 to 2⁵³ − 1 minor units"),
        "`BAD_USER_INPUT`",
    ),
    row(
        "percentage of a discount",
        Text("0 to 100, two decimals"),
        "`BAD_USER_INPUT`",
    ),
    row("items of a deal", Text("1 to 100"), "`BAD_USER_INPUT`"),
    row(
        "mutations of one deal in progress or waiting, on one gateway",
        Text("256"),
        "`RATE_LIMITED` with `retryAfterMs: 1000`",
    ),
    row(
        "time for one mutation, waiting included",
        Text("5 s"),
        "`UNAVAILABLE` if nothing was sent, `UNKNOWN_OUTCOME` if something was, `CONFLICT` with `retryable: true` if others kept changing the deal",
    ),
    row(
        "mutations of a deal that a repeat with the same key is recognised among",
        Text("16 (creations: for ever)"),
        "the repeat is a new mutation",
    ),
];
