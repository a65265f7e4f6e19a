//! Table of close codes: which exist, who sends them when, and what the stock graphql-ws client does then.
//!
//! No other code is ever sent. Absent on purpose are 1000 (with operations open, the stock client reconnects at once and
//! without backoff) and 1002, 1008, 1009 and 1011 (fatal to the stock client): an internal failure ends its operation
//! with an `error` message instead.

/// Reason why the server closes a socket, with the number that goes into the close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum CloseCode {
    /// 4400, the protocol's answer to an unknown, malformed, binary or oversized message. Fatal to the stock client:
    /// it reports the close event to all its operations and does not reconnect.
    Malformed = 4400,
    /// 4401, the protocol's answer to `subscribe` before `connection_ack`. Fatal to the stock client.
    Unauthorized = 4401,
    /// 4403, sent by authentication: the `connection_init` was rejected, or the key of an open socket was revoked. The
    /// stock client retries and asks for its `connectionParams` afresh, so a renewed key is used without a reload.
    Forbidden = 4403,
    /// 4406, sent by the transport right after the upgrade when the client did not offer graphql-transport-ws. Fatal to
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
    /// 1013, sent when the key has too many connections, or keys cannot be confirmed now. The stock client retries with
    /// backoff.
    Overloaded = 1013,
}

impl CloseCode {
    /// All codes, in the order of their declaration.
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

    /// Returns the number for the close frame.
    #[must_use]
    pub const fn code(self) -> u16 {
        self as u16
    }

    /// Returns the reason to send when there is no more exact one, at most 123 bytes long. Where the protocol prescribes a
    /// text, it is that text.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            // Texts of PROTOCOL.md and of the IANA registry of close codes, which clients show and log.
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
