//! The table of close codes: which exist, who sends them when, and what the stock graphql-ws client does then.
//!
//! Refuses to be extended by numbers in passing: a code that is not here is never sent. Absent on purpose are 1000 (with
//! operations open the stock client reconnects at once and without backoff) and 1011 with its siblings 1002, 1008 and
//! 1009 (fatal to the stock client): an internal failure ends its operation with an `error` message instead.

/// Why the server ends a socket. The number is what goes into the close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// 4400, the protocol's answer to an unknown, malformed, binary or oversized message. Fatal to the stock client:
    /// it reports the close event to all its operations and does not reconnect.
    Malformed = 4400,
    /// 4401, the protocol's answer to `subscribe` before `connection_ack`. Fatal to the stock client.
    Unauthorized = 4401,
    /// 4403, sent by authentication: the `connection_init` was refused, or the key of an open socket was revoked. The
    /// stock client retries, asking for its `connectionParams` afresh, so a renewed key heals by itself.
    Forbidden = 4403,
    /// 4406, sent right after the upgrade by the transport when the client offered no subprotocol we speak. Fatal to
    /// the stock client.
    SubprotocolNotAcceptable = 4406,
    /// 4408, sent when no `connection_init` came within 3 seconds. The stock client retries with backoff.
    InitTimeout = 4408,
    /// 4409, the protocol's answer to a `subscribe` whose id is still active. Fatal to the stock client.
    DuplicateSubscriber = 4409,
    /// 4429, the protocol's answer to a second `connection_init`. Fatal to the stock client.
    TooManyInits = 4429,
    /// 4290, sent by the writer when the client does not take its bytes or answer pings in time. A private code outside
    /// the stock client's fatal list: it retries with backoff and resumes from the position it stored.
    TooSlow = 4290,
    /// 1012, sent to every socket while the process drains, spread over the drain time. The stock client retries with
    /// backoff, which leads it to another process.
    Draining = 1012,
    /// 1013, sent when the process sheds load, or cannot decide who the client is. The stock client retries with
    /// backoff.
    Overloaded = 1013,
}

impl CloseCode {
    /// Every code, in the order of the table.
    pub const ALL: [Self; 10] = [
        Self::Malformed,
        Self::Unauthorized,
        Self::Forbidden,
        Self::SubprotocolNotAcceptable,
        Self::InitTimeout,
        Self::DuplicateSubscriber,
        Self::TooManyInits,
        Self::TooSlow,
        Self::Draining,
        Self::Overloaded,
    ];

    /// The number for the close frame.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// The reason to send when there is nothing more exact to say: at most 123 bytes. Where the protocol names a text
    /// it is that text.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "Invalid message received",
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::SubprotocolNotAcceptable => "Subprotocol not acceptable",
            Self::InitTimeout => "Connection initialisation timeout",
            Self::DuplicateSubscriber => "Subscriber already exists",
            Self::TooManyInits => "Too many initialisation requests",
            Self::TooSlow => "Too slow: resume from your last position",
            Self::Draining => "Service restart",
            Self::Overloaded => "Try again later",
        }
    }
}
