//! Limits of connections, webhooks, memory and databases.

use sockets::protocol::Limits;

use super::super::value::Value::{Bytes, Count, Fixed, FixedBytes, Text, Unit};
use super::{Row, row};

const SOCKET: Limits = Limits::DEFAULT;

pub(super) const CONNECTIONS: &[Row] = &[
    row(
        "WebSockets and event streams of one API key, on one gateway",
        Text("1,000"),
        "WebSocket: close 1013; event stream: `RATE_LIMITED`",
    ),
    row(
        "connections in all",
        Count("max-connections", ""),
        "the connection is closed",
    ),
    row(
        "connections of one client address (IPv6: one /64)",
        Count("max-connections-per-address", ""),
        "the connection is closed",
    ),
    row(
        "TLS handshake, PROXY header, request head, request body: each",
        Text("10 s"),
        "the connection is closed; a body: status 408",
    ),
    row(
        "response that its reader does not take",
        Text("10 s without progress"),
        "the connection is closed",
    ),
    row(
        "connection without a request",
        Text("75 s"),
        "the connection is closed",
    ),
    row(
        "time that a subscription waits for an outage at its beginning",
        Text("5 s"),
        "WebSocket: close 1013; event stream: status 503",
    ),
    row(
        "length of a window (`conflate`)",
        Text("1 to 60 s"),
        "`BAD_USER_INPUT`",
    ),
    row(
        "operations on one socket",
        Fixed(SOCKET.max_operations),
        "`LIMIT_EXCEEDED` for the operation",
    ),
    row(
        "message from a client",
        FixedBytes(SOCKET.max_message_bytes),
        "close 4400",
    ),
    row(
        "id of an operation",
        FixedBytes(SOCKET.max_id_bytes),
        "close 4400",
    ),
    row("time until `connection_init`", Text("3 s"), "close 4408"),
    row(
        "client that accepts no data on a WebSocket",
        Text("10 s"),
        "close 4290",
    ),
    row(
        "pings in a row that a client leaves unanswered",
        Text("2, one every 12 s (`--ping-seconds`)"),
        "close 4290",
    ),
    row(
        "connection whose peer acknowledges nothing (Linux)",
        Text("20 s"),
        "the connection is dropped",
    ),
    row(
        "unsent data that the system holds for a connection",
        Text("128 KiB"),
        "the connection waits; nothing is queued beyond it",
    ),
    row(
        "age of a position that can be resumed",
        Unit("feed-days", "days"),
        "`POSITION_EXPIRED`",
    ),
    row(
        "connections that wait to be accepted",
        Text("4,096"),
        "refused by the operating system",
    ),
    row(
        "time that an API key is trusted without its database confirming it",
        Text("under 5 s"),
        "requests: `UNAVAILABLE`; subscriptions stop at their position and go on later",
    ),
    row(
        "time until a revoked key ends its connections",
        Text("under 5 s"),
        "WebSocket: close 4403; an event stream ends",
    ),
];

pub(super) const WEBHOOKS: &[Row] = &[
    row(
        "endpoints of a buyer",
        Fixed(webhooks::MAX_WEBHOOKS),
        "`LIMIT_EXCEEDED`",
    ),
    row("running replays of an endpoint", Fixed(1), "`CONFLICT`"),
    row(
        "`ratePerSecond` of a replay",
        Text("1 to 100, or absent for 10"),
        "`BAD_USER_INPUT`",
    ),
    row("URL", Text("2,000 characters"), "`BAD_USER_INPUT`"),
    row("description", Text("500 characters"), "`BAD_USER_INPUT`"),
    row(
        "`sellerIds` of an endpoint",
        Text("1 to 100, or absent for all"),
        "`BAD_USER_INPUT`",
    ),
    row(
        "`onlyWhenChanged` of an endpoint",
        Text("1 or more fields, or absent for every change"),
        "`BAD_USER_INPUT`",
    ),
    row(
        "body of a call",
        Text("under 20,000 bytes"),
        "the deal's `id`, `sellerId` and `version` are sent, with a note",
    ),
    row(
        "time to resolve, connect and agree on TLS",
        Text("5 s"),
        "the attempt fails",
    ),
    row(
        "time for a call as a whole",
        Text("15 s"),
        "the attempt fails",
    ),
    row(
        "body of an answer",
        Text("4 KiB are kept, about 64 KiB are read"),
        "the rest is ignored",
    ),
    row(
        "attempts of a delivery",
        Text("8, over about 28 hours"),
        "`DEAD`",
    ),
    row("`Retry-After` that is obeyed", Text("24 h"), "24 h"),
    row(
        "failures in a row until an endpoint is only probed",
        Text("10"),
        "one call after a minute, then after pauses that double up to an hour",
    ),
    row(
        "time since the first failure in a row, at the next failure",
        Text("5 days"),
        "`DISABLED`",
    ),
    row(
        "calls to one endpoint at the same time, from one process",
        Count("webhook-concurrency", ", halved with each failure in a row"),
        "deliveries wait",
    ),
    row(
        "calls to one endpoint per second, from one process",
        Text("no limit (`--webhook-rate`)"),
        "deliveries wait",
    ),
    row(
        "calls at the same time, from one process",
        Count("webhook-calls", ""),
        "deliveries wait",
    ),
    row(
        "deliveries that the fan-out inserts in one transaction",
        Text("2,000, or 4 MiB of bodies"),
        "it takes another one",
    ),
    row(
        "age of a change that the fan-out can still read",
        Text("30 days (`--feed-max-days`)"),
        "no calls are made for it; an error and a metric tell",
    ),
    row(
        "time that finished deliveries are kept",
        Text("30 days"),
        "they are deleted",
    ),
    row(
        "time that a rotated secret still signs",
        Text("24 h"),
        "only the new one signs",
    ),
];

pub(super) const MEMORY: &[Row] = &[
    row(
        "newest changes (the ring)",
        Text("64 MiB"),
        "older changes are read from the database",
    ),
    row(
        "blocks of older changes that readers share",
        Text("64 MiB"),
        "read again",
    ),
    row(
        "rendered results that subscribers share",
        Text("64 MiB"),
        "rendered again",
    ),
    row("rendered deals", Text("64 MiB"), "rendered again"),
    row("plans of documents", Text("32 MiB"), "compiled again"),
    row(
        "deals as last written",
        Text("32 MiB"),
        "loaded from the log",
    ),
    row(
        "pages that are kept exact (Views)",
        Bytes("view-bytes", ""),
        "those not read for the longest time are dropped, and read from the database",
    ),
    row(
        "Views of one account",
        Text("16"),
        "its View that was not read for the longest time is dropped",
    ),
    row(
        "time that a View is kept without being read",
        Text("10 minutes"),
        "it is dropped",
    ),
    row(
        "deals of a View",
        Text("twice the page size, and two more"),
        "later pages are read from the database",
    ),
    row(
        "changes that a View catches up with",
        Text("1,000"),
        "it is loaded again",
    ),
];

pub(super) const DATABASES: &[Row] = &[
    row(
        "connections of one process to one PostgreSQL database for requests, projections and webhooks",
        Count("request-connections", ""),
        "the request waits for up to 2 s, then `UNAVAILABLE`",
    ),
    row(
        "the same for the check of API keys",
        Count("key-connections", ""),
        "the look-up waits, then `UNAVAILABLE`",
    ),
    row(
        "the same to the buyer database for the feed and for access",
        Count("feed-connections", ""),
        "subscribers that are behind wait",
    ),
    row("time for one statement", Text("30 s"), "it is cancelled"),
    row(
        "idle time inside a transaction",
        Text("3 s"),
        "the session is ended, so that a standby can take over",
    ),
];
