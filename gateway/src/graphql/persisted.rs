//! Documents that requests name instead of sending them.
//!
//! Trusted documents come from files and are known from the start. Automatic persisted queries (APQ) are stored when a
//! client first sends a text together with its hash; whoever sends the hash alone later gets that document. Both serve
//! every transport, because they are looked up where requests are executed.

mod trusted;

use std::ops::Deref;
use std::sync::Arc;

use backbone::accounts::Role;
use backbone::telemetry::{Counter, Metrics};
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use sha2::{Digest, Sha256};

use super::context::Caller;
use super::request::{DocumentId, GraphqlRequest, IdForm, TextHash};
use crate::error::{Code, Problem};

pub use trusted::TrustedDocuments;

/// Least memory that a stored document counts as, in bytes. It bounds the number of short ones.
const LEAST_BYTES: u64 = 1 << 10;

/// Memory that a stored document takes beside its text, in bytes (an estimate).
const ENTRY_BYTES: u64 = 128;

/// Parts that the store is locked in. Each holds its share of the memory, so many would leave no room for a long document.
const SHARDS: usize = 4;

/// Rules for documents that requests name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PersistedRules {
    /// Memory for automatic persisted queries, in bytes; 0 turns them off.
    pub apq_bytes: u64,
    /// True if nothing but trusted documents is executed, except for administrators.
    pub trusted_only: bool,
}

impl Default for PersistedRules {
    fn default() -> Self {
        Self {
            apq_bytes: 8 << 20,
            trusted_only: false,
        }
    }
}

/// Documents that requests can name.
pub struct PersistedDocuments {
    trusted: TrustedDocuments,
    trusted_only: bool,
    /// Texts by their hash; `None` if APQ is off.
    automatic: Option<Automatic>,
    metrics: PersistedMetrics,
}

type Automatic = Cache<TextHash, Arc<str>, ByBytes>;

/// Document of a request.
pub(super) struct Resolved<'a> {
    text: Text<'a>,
    /// Hash to store the text under, once it has turned out to be a valid document.
    store_as: Option<TextHash>,
}

enum Text<'a> {
    Sent(&'a str),
    Stored(Arc<str>),
}

impl Deref for Resolved<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match &self.text {
            Text::Sent(text) => text,
            Text::Stored(text) => text,
        }
    }
}

impl PersistedDocuments {
    /// Creates an empty store beside the trusted documents.
    pub fn new(rules: PersistedRules, trusted: TrustedDocuments, metrics: &Metrics) -> Self {
        // Trusted documents alone leave nothing that could be stored.
        let has_apq = rules.apq_bytes > 0 && !rules.trusted_only;

        Self {
            trusted,
            trusted_only: rules.trusted_only,
            automatic: has_apq.then(|| automatic(rules.apq_bytes)),
            metrics: PersistedMetrics::new(metrics),
        }
    }

    /// Returns the document of a request: the one that it names, or its text.
    ///
    /// # Errors
    /// PERSISTED_QUERY_NOT_FOUND, PERSISTED_QUERY_NOT_SUPPORTED and PERSISTED_QUERY_REQUIRED; BAD_REQUEST for a hash that
    /// is not the text's, or if the request has neither text nor id.
    pub(super) fn resolve<'a>(
        &self,
        request: &'a GraphqlRequest,
        caller: &Caller,
    ) -> Result<Resolved<'a>, Problem> {
        let id = request.document_id()?;
        let sent = request.query.as_deref();
        // Clients whose library insists on a text send an empty one beside the id.
        let sent = sent.filter(|text| id.is_none() || !text.is_empty());

        if let Some(id) = id {
            let trusted = self.trusted.get(id.text).cloned();
            if let Some(trusted) = trusted {
                return trusted_text(trusted, sent);
            }
        }
        if self.trusted_only && !is_operator(caller) {
            return Err(required());
        }

        match (sent, id) {
            (Some(text), None) => Ok(Resolved::sent(text)),
            (Some(text), Some(id)) => self.with_hash(text, id),
            (None, Some(id)) => self.stored(id),
            (None, None) => Err(Problem::new(
                Code::BadRequest,
                "The request has no query and names no document",
            )),
        }
    }

    /// Stores the text of a request that has come with its hash. `caller` must hold a key: strangers could push the
    /// documents of others out.
    pub(super) fn store(&self, resolved: &Resolved<'_>, caller: &Caller) {
        let (Some(automatic), Some(hash)) = (&self.automatic, resolved.store_as) else {
            return;
        };
        if caller.principal.is_none() {
            return;
        }

        automatic.insert(hash, Arc::from(&**resolved));
        self.metrics.stored.inc();
    }

    /// Checks a text against the hash that came with it.
    fn with_hash<'a>(&self, text: &'a str, id: DocumentId<'_>) -> Result<Resolved<'a>, Problem> {
        // Nobody but the client knows what its id means, so the text counts.
        if id.form == IdForm::Custom {
            return Ok(Resolved::sent(text));
        }

        let hash: TextHash = Sha256::digest(text).into();
        if id.hash() != Some(hash) {
            return Err(Problem::new(
                Code::BadRequest,
                "The hash of the document is not the SHA-256 of the query",
            ));
        }

        let is_stored = |automatic: &Automatic| automatic.get(&hash).is_some();
        let is_new = !self.automatic.as_ref().is_some_and(is_stored);
        Ok(Resolved {
            text: Text::Sent(text),
            store_as: is_new.then_some(hash),
        })
    }

    /// Finds the text that was stored under an id.
    fn stored(&self, id: DocumentId<'_>) -> Result<Resolved<'static>, Problem> {
        let stored = match (&self.automatic, id.hash()) {
            (None, _) if id.form == IdForm::Apq => return Err(not_supported()),
            (Some(automatic), Some(hash)) => automatic.get(&hash),
            _ => None,
        };

        match stored {
            Some(text) => {
                self.metrics.found.inc();
                Ok(Resolved::stored(text))
            }
            None => {
                self.metrics.missed.inc();
                Err(not_found())
            }
        }
    }
}

/// Returns an empty store of this many bytes.
fn automatic(bytes: u64) -> Automatic {
    let entries = usize::try_from(bytes / LEAST_BYTES).unwrap_or(usize::MAX);
    let options = OptionsBuilder::new()
        .shards(SHARDS)
        .estimated_items_capacity(entries)
        .weight_capacity(bytes)
        .build()
        .expect("both capacities are given");

    Cache::with_options(
        options,
        ByBytes,
        DefaultHashBuilder::default(),
        DefaultLifecycle::default(),
    )
}

impl<'a> Resolved<'a> {
    fn sent(text: &'a str) -> Self {
        Self {
            text: Text::Sent(text),
            store_as: None,
        }
    }

    fn stored(text: Arc<str>) -> Self {
        Self {
            text: Text::Stored(text),
            store_as: None,
        }
    }
}

/// Returns a trusted document, if the client has sent no other text with its id.
fn trusted_text<'a>(trusted: Arc<str>, sent: Option<&str>) -> Result<Resolved<'a>, Problem> {
    if sent.is_some_and(|sent| sent != &*trusted) {
        return Err(Problem::new(
            Code::BadRequest,
            "The query is not the trusted document that the id names; send the id alone",
        ));
    }

    Ok(Resolved::stored(trusted))
}

/// Returns whether a caller may execute any document: operators bring their own, from the command line among others.
fn is_operator(caller: &Caller) -> bool {
    let principal = caller.principal.as_ref();

    principal.is_some_and(|principal| principal.role() == Role::Admin)
}

/// Apollo and urql recognise the two problems below by these messages.
fn not_found() -> Problem {
    Problem::new(Code::PersistedQueryNotFound, "PersistedQueryNotFound")
}

fn not_supported() -> Problem {
    let code = Code::PersistedQueryNotSupported;

    Problem::new(code, "PersistedQueryNotSupported")
}

fn required() -> Problem {
    Problem::new(
        Code::PersistedQueryRequired,
        "This server executes trusted documents only; send the id of one of them",
    )
}

/// Counters of documents that were named.
struct PersistedMetrics {
    found: Counter,
    missed: Counter,
    stored: Counter,
}

impl PersistedMetrics {
    fn new(metrics: &Metrics) -> Self {
        Self {
            found: metrics.counter(
                "persisted_queries_found",
                "Requests that named a document which an earlier request had sent",
            ),
            missed: metrics.counter(
                "persisted_queries_missed",
                "Requests that named a document which is not stored",
            ),
            stored: metrics.counter(
                "persisted_queries_stored",
                "Documents stored because they came with their hash",
            ),
        }
    }
}

#[derive(Clone)]
struct ByBytes;

impl Weighter<TextHash, Arc<str>> for ByBytes {
    fn weight(&self, _: &TextHash, text: &Arc<str>) -> u64 {
        (text.len() as u64 + ENTRY_BYTES).max(LEAST_BYTES)
    }
}
