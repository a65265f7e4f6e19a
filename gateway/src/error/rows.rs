//! Table of codes: everything that clients and documents are told about each.

use axum::http::StatusCode;

use Transport::{EventStream, Get, Post, Rest, WebSocket};

/// Effect of the request that an error answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing was written.
    None,
    /// The write may or may not have been carried out.
    Unknown,
}

/// Part of a GraphQL request that an error belongs to, and so the message that carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The request as a whole: nothing is executed, and there is no `data`. Over websockets a message `error`.
    Request,
    /// One root field: the others have their data. Over websockets a message `next`.
    Field,
    /// Either.
    Both,
}

/// Ways to send a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// GraphQL by `POST`.
    Post,
    /// GraphQL by `GET`.
    Get,
    /// GraphQL with the result as an event stream.
    EventStream,
    /// GraphQL over a websocket.
    WebSocket,
    /// REST.
    Rest,
}

/// Row of the table of codes.
#[derive(Clone, Copy, Debug)]
pub struct CodeRow {
    /// Name of the code as clients see it.
    pub name: &'static str,
    /// HTTP status of a response that carries only this error.
    pub status: StatusCode,
    /// True if the same request may succeed later.
    pub retryable: bool,
    /// Effect of the request.
    pub effect: Effect,
    /// Part of a GraphQL request that the error belongs to.
    pub scope: Scope,
    /// Close code of a websocket that ends for this reason, if one does.
    pub close: Option<u16>,
    /// Transports that the code can occur on.
    pub over: &'static [Transport],
    /// Meaning, and what to do, as Markdown.
    pub meaning: &'static str,
}

const EVERYWHERE: &[Transport] = &[Post, Get, EventStream, WebSocket, Rest];
const GRAPHQL: &[Transport] = &[Post, Get, EventStream, WebSocket];
/// Transports of mutations.
const WRITES: &[Transport] = &[Post, EventStream, WebSocket, Rest];

pub(super) const UNAUTHENTICATED: CodeRow = CodeRow {
    name: "UNAUTHENTICATED",
    status: StatusCode::UNAUTHORIZED,
    retryable: false,
    effect: Effect::None,
    scope: Scope::Request,
    close: Some(4403),
    over: EVERYWHERE,
    meaning: "There is no API key and no token, or it is unknown, revoked or at its end, or its account \
        is disabled. Send a valid one in `x-api-key` or `Authorization: Bearer`.",
};

pub(super) const FORBIDDEN: CodeRow = CodeRow {
    name: "FORBIDDEN",
    status: StatusCode::FORBIDDEN,
    retryable: false,
    effect: Effect::None,
    scope: Scope::Both,
    close: None,
    over: EVERYWHERE,
    meaning: "The key is valid, but its account may not do this. Use a key of the role that the \
        message names.",
};

pub(super) const BAD_REQUEST: CodeRow = CodeRow {
    name: "BAD_REQUEST",
    status: StatusCode::BAD_REQUEST,
    retryable: false,
    effect: Effect::None,
    scope: Scope::Request,
    close: Some(4400),
    over: &[Post, Get, EventStream, Rest],
    meaning: "The request is malformed: not JSON, no query, a batch, a hash that is not the \
        query's. Correct the request.",
};

pub(super) const METHOD_NOT_ALLOWED: CodeRow = CodeRow {
    name: "METHOD_NOT_ALLOWED",
    status: StatusCode::METHOD_NOT_ALLOWED,
    retryable: false,
    effect: Effect::None,
    scope: Scope::Request,
    close: None,
    over: &[Get, EventStream, Rest],
    meaning: "The path does not support this method, or the operation is a mutation and the \
        method must not change anything. `Allow` lists the methods that do.",
};

pub(super) const NOT_ACCEPTABLE: CodeRow = CodeRow {
    name: "NOT_ACCEPTABLE",
    status: StatusCode::NOT_ACCEPTABLE,
    retryable: false,
    effect: Effect::None,
    scope: Scope::Request,
    close: None,
    over: &[Post, Get, Rest],
    meaning: "The client accepts none of the media types that the answer can have. Correct `Accept`.",
};

pub(super) const UNSUPPORTED_MEDIA_TYPE: CodeRow = CodeRow {
    name: "UNSUPPORTED_MEDIA_TYPE",
    status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
    retryable: false,
    effect: Effect::None,
    scope: Scope::Request,
    close: None,
    over: &[Post, EventStream, Rest],
    meaning: "The body is not `application/json` in UTF-8, or compressed otherwise than by `gzip`, \
        `zstd` or `br`.",
};

pub(super) const PERSISTED_QUERY_NOT_FOUND: CodeRow = CodeRow {
    name: "PERSISTED_QUERY_NOT_FOUND",
    status: StatusCode::BAD_REQUEST,
    retryable: false,
    effect: Effect::None,
    scope: Scope::Request,
    close: None,
    over: GRAPHQL,
    meaning: "No document with this hash is known. Send the query with the hash; clients do so by \
        themselves.",
};

pub(super) const PERSISTED_QUERY_NOT_SUPPORTED: CodeRow = CodeRow {
    name: "PERSISTED_QUERY_NOT_SUPPORTED",
    status: StatusCode::BAD_REQUEST,
    retryable: false,
    effect: Effect::None,
    scope: Scope::Request,
    close: None,
    over: GRAPHQL,
    meaning: "Automatic persisted queries are off. Send the query; clients do so by themselves.",
};

pub(super) const PERSISTED_QUERY_REQUIRED: CodeRow = CodeRow {
    name: "PERSISTED_QUERY_REQUIRED",
    status: StatusCode::BAD_REQUEST,
    retryable: false,
    effect: Effect::None,
    scope: Scope::Request,
    close: None,
    over: GRAPHQL,
    meaning: "The gateway executes [trusted documents](graphql.md#trusted-documents) only, and the \
        request names none of them.",
};

pub(super) const BAD_USER_INPUT: CodeRow = CodeRow {
    name: "BAD_USER_INPUT",
    status: StatusCode::BAD_REQUEST,
    retryable: false,
    effect: Effect::None,
    scope: Scope::Both,
    close: None,
    over: EVERYWHERE,
    meaning: "Input values break the rules. `fields` lists them with their paths, at most 50, and \
        the message says how many more there are. Correct them.",
};

pub(super) const NOT_FOUND: CodeRow = CodeRow {
    name: "NOT_FOUND",
    status: StatusCode::NOT_FOUND,
    retryable: false,
    effect: Effect::None,
    scope: Scope::Field,
    close: None,
    over: &[Post, EventStream, WebSocket, Rest],
    meaning: "The object does not exist, or this caller may not see it.",
};

pub(super) const CONFLICT: CodeRow = CodeRow {
    name: "CONFLICT",
    status: StatusCode::CONFLICT,
    retryable: false,
    effect: Effect::None,
    scope: Scope::Field,
    close: None,
    over: WRITES,
    meaning: "The state is not the expected one: `expectedVersion` is out of date \
        (`currentVersion` is given), or the object exists already. Read it again, then \
        decide anew. With `retryable: true` the deal was merely busy: repeat the request.",
};

pub(super) const IDEMPOTENCY_KEY_REUSED: CodeRow = CodeRow {
    name: "IDEMPOTENCY_KEY_REUSED",
    status: StatusCode::UNPROCESSABLE_ENTITY,
    retryable: false,
    effect: Effect::None,
    scope: Scope::Field,
    close: None,
    over: WRITES,
    meaning: "The idempotency key was used for a different request. Use a new key.",
};

pub(super) const POSITION_EXPIRED: CodeRow = CodeRow {
    name: "POSITION_EXPIRED",
    status: StatusCode::GONE,
    retryable: false,
    effect: Effect::None,
    scope: Scope::Both,
    close: None,
    over: EVERYWHERE,
    meaning: "The changes after this position are no longer kept (`--feed-days`), or it is of a log \
        that this market no longer has. Query a page, then subscribe after its position.",
};

pub(super) const POSITION_NOT_REACHED: CodeRow = CodeRow {
    name: "POSITION_NOT_REACHED",
    status: StatusCode::SERVICE_UNAVAILABLE,
    retryable: true,
    effect: Effect::None,
    scope: Scope::Field,
    close: None,
    over: EVERYWHERE,
    meaning: "The tables did not reach `minPosition`, or the page that a cursor belongs to, within \
        one second. Repeat the request.",
};

pub(super) const RATE_LIMITED: CodeRow = CodeRow {
    name: "RATE_LIMITED",
    status: StatusCode::TOO_MANY_REQUESTS,
    retryable: true,
    effect: Effect::None,
    scope: Scope::Both,
    close: Some(1013),
    over: EVERYWHERE,
    meaning: "The caller asked for too much: within a minute, at a time, or of one deal. Wait for \
        `retryAfterMs` (over HTTP also `Retry-After`) if it is given, then repeat. See the \
        [rate limits](limits.md#rate-limits).",
};

pub(super) const LIMIT_EXCEEDED: CodeRow = CodeRow {
    name: "LIMIT_EXCEEDED",
    status: StatusCode::UNPROCESSABLE_ENTITY,
    retryable: false,
    effect: Effect::None,
    scope: Scope::Both,
    close: None,
    over: &[Post, EventStream, WebSocket],
    meaning: "The caller already has as many as allowed: webhooks, or operations on one websocket. \
        Remove one first.",
};

pub(super) const PAYLOAD_TOO_LARGE: CodeRow = CodeRow {
    name: "PAYLOAD_TOO_LARGE",
    status: StatusCode::PAYLOAD_TOO_LARGE,
    retryable: false,
    effect: Effect::None,
    scope: Scope::Request,
    close: Some(4400),
    over: &[Post, EventStream, Rest],
    meaning: "The body is larger than 256 KiB, or the message on a websocket larger than 64 KiB.",
};

pub(super) const QUERY_TOO_COMPLEX: CodeRow = CodeRow {
    name: "QUERY_TOO_COMPLEX",
    status: StatusCode::BAD_REQUEST,
    retryable: false,
    effect: Effect::None,
    scope: Scope::Request,
    close: None,
    over: GRAPHQL,
    meaning: "The document exceeds a [limit](limits.md#documents). Ask for less, or split it.",
};

pub(super) const GRAPHQL_PARSE_FAILED: CodeRow = CodeRow {
    name: "GRAPHQL_PARSE_FAILED",
    status: StatusCode::BAD_REQUEST,
    retryable: false,
    effect: Effect::None,
    scope: Scope::Request,
    close: None,
    over: GRAPHQL,
    meaning: "The document has a syntax error.",
};

pub(super) const GRAPHQL_VALIDATION_FAILED: CodeRow = CodeRow {
    name: "GRAPHQL_VALIDATION_FAILED",
    status: StatusCode::BAD_REQUEST,
    retryable: false,
    effect: Effect::None,
    scope: Scope::Request,
    close: None,
    over: GRAPHQL,
    meaning: "The document does not fit the schema.",
};

pub(super) const UNAVAILABLE: CodeRow = CodeRow {
    name: "UNAVAILABLE",
    status: StatusCode::SERVICE_UNAVAILABLE,
    retryable: true,
    effect: Effect::None,
    scope: Scope::Both,
    close: Some(1013),
    over: EVERYWHERE,
    meaning: "A store that the request needs cannot be reached. Nothing was written. Repeat the \
        request with backoff.",
};

pub(super) const UNKNOWN_OUTCOME: CodeRow = CodeRow {
    name: "UNKNOWN_OUTCOME",
    status: StatusCode::SERVICE_UNAVAILABLE,
    retryable: true,
    effect: Effect::Unknown,
    scope: Scope::Field,
    close: None,
    over: WRITES,
    meaning: "The write was sent and not confirmed. Repeat it with the **same idempotency key**: \
        it is applied at most once. If the mutation takes none, or you sent none, read the \
        current state first.",
};

pub(super) const INTERNAL: CodeRow = CodeRow {
    name: "INTERNAL",
    status: StatusCode::INTERNAL_SERVER_ERROR,
    retryable: false,
    effect: Effect::Unknown,
    scope: Scope::Both,
    close: None,
    over: EVERYWHERE,
    meaning: "A fault in Dealwire. `errorId` names the line of its log that has the cause; give it \
        to the operator.",
};
