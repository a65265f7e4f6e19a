//! Tokens: JSON Web Tokens (RFC 7519) of an identity provider, signed with RS256, ES256 or EdDSA by one of the keys in
//! its set (RFC 7517). A token names an account of the market and its role; the account must exist.

mod claims;
mod key_set;
mod provider;
mod source;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use backbone::accounts::{KeyHash, Role};
use backbone::clock::Clock;
use backbone::time::Timestamp;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde_json::{Map, Value};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::error::{Code, Problem};
use key_set::{KeySet, PublicKey};
use source::Source;

pub use claims::{ClaimNames, RoleValues};
pub use source::KeySource;

/// Longest accepted token, in bytes.
const MAX_TOKEN: usize = 8 << 10;

/// Pause between two attempts to load the first set.
const FIRST_LOAD_PAUSE: Duration = Duration::from_secs(2);

/// Time between two loads of the set because of a token whose key it does not hold. Anybody can send such a token.
const UNKNOWN_KEY_PAUSE: Duration = Duration::from_mins(1);

/// Identities of the keys that tokens may be signed with.
pub(super) type Signers = watch::Receiver<Arc<HashSet<KeyHash>>>;

/// Rules for tokens.
#[derive(Clone, Debug)]
pub struct JwtSettings {
    /// Place of the set of keys.
    pub source: KeySource,
    /// Accepted values of the claim `iss`, at least one.
    pub issuers: Vec<String>,
    /// Accepted values of the claim `aud`, at least one, of which a token must name one.
    pub audiences: Vec<String>,
    /// Difference between clocks that is forgiven.
    pub leeway: Duration,
    /// Claims that tell the account and its role.
    pub claims: ClaimNames,
    /// Values of the claim of the role.
    pub roles: RoleValues,
}

/// A token whose signature and claims are valid.
#[derive(Clone, Copy, Debug)]
pub(super) struct VerifiedToken {
    /// Account that it names.
    pub(super) account: Uuid,
    /// Role that it names.
    pub(super) role: Role,
    /// Time from which it is refused.
    pub(super) ends: Timestamp,
    /// Key that it is signed with.
    pub(super) signer: KeyHash,
}

/// Verification of tokens by the present set of keys.
pub struct Tokens {
    settings: JwtSettings,
    source: Source,
    /// `None` until the set was loaded for the first time.
    set: watch::Sender<Option<Arc<KeySet>>>,
    signers: watch::Sender<Arc<HashSet<KeyHash>>>,
    // Held while the set is loaded because of an unknown key, so that a thousand callers cause one load.
    unknown_key: Mutex<Option<Instant>>,
}

impl Tokens {
    /// Builds the verification of tokens. [`KeyRing::keep_checking`](super::KeyRing::keep_checking) loads the set of
    /// keys.
    ///
    /// # Errors
    /// The HTTP client for the set cannot be set up.
    pub fn new(settings: JwtSettings) -> Result<Self, reqwest::Error> {
        provider::install();

        Ok(Self {
            source: Source::new(settings.source.clone())?,
            settings,
            set: watch::channel(None).0,
            signers: watch::channel(Arc::default()).0,
            unknown_key: Mutex::default(),
        })
    }

    /// Returns the identities of the keys that tokens may be signed with, now and later.
    pub(super) fn signers(&self) -> Signers {
        self.signers.subscribe()
    }

    /// Verifies a token's signature and claims.
    ///
    /// # Errors
    /// UNAUTHENTICATED when the token is not valid; UNAVAILABLE when the set of keys was never loaded.
    pub(super) async fn verify(&self, text: &str) -> Result<VerifiedToken, Problem> {
        if text.len() > MAX_TOKEN {
            return Err(Problem::unauthenticated("The token is too long"));
        }
        let header = decode_header(text).map_err(|_| malformed())?;
        let key = self.key(header.kid.as_deref(), header.alg).await?;

        // Only the algorithm that the key is for: a public key is never taken for a shared secret.
        let validation = self.validation(key.algorithm);
        let token = decode::<Map<String, Value>>(text, &key.decoding, &validation);
        let claims = token.map_err(|error| refusal(error.kind()))?.claims;

        let ends = claims::end(&claims, self.settings.leeway);
        // The library counts whole seconds: it would take a token again whose connections have just ended.
        if ends <= Clock::system().now() {
            return Err(refusal(&ErrorKind::ExpiredSignature));
        }

        let (account, role) = claims::account(&claims, &self.settings)?;
        Ok(VerifiedToken {
            account,
            role,
            ends,
            signer: key.id,
        })
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);

        validation.leeway = self.settings.leeway.as_secs();
        validation.validate_nbf = true;
        validation.set_issuer(&self.settings.issuers);
        validation.set_audience(&self.settings.audiences);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation
    }

    /// Returns the key that a token names, loading the set once more if it does not hold it.
    async fn key(&self, id: Option<&str>, algorithm: Algorithm) -> Result<Arc<PublicKey>, Problem> {
        if !key_set::ALGORITHMS.contains(&algorithm) {
            return Err(Problem::unauthenticated(
                "The token must be signed with RS256, ES256 or EdDSA",
            ));
        }
        if let Some(key) = self.present()?.find(id, algorithm) {
            return Ok(key);
        }

        self.load_for_unknown_key().await;
        self.present()?.find(id, algorithm).ok_or_else(|| {
            Problem::unauthenticated("The token is signed with a key that is not known")
        })
    }

    fn present(&self) -> Result<Arc<KeySet>, Problem> {
        self.set.borrow().clone().ok_or_else(|| {
            Problem::new(
                Code::Unavailable,
                "Tokens cannot be verified yet; try again later",
            )
        })
    }

    async fn load_for_unknown_key(&self) {
        let mut last = self.unknown_key.lock().await;
        if last.is_some_and(|last| last.elapsed() < UNKNOWN_KEY_PAUSE) {
            return;
        }

        *last = Some(Instant::now());
        self.load().await;
    }

    /// Loads the set. The present one stays if that fails. Returns whether there is a set now.
    async fn load(&self) -> bool {
        let loaded = self.source.load().await;

        match loaded.and_then(|text| KeySet::parse(&text)) {
            Ok(set) => {
                let signers = Arc::new(set.ids());
                self.set.send_replace(Some(Arc::new(set)));
                self.signers.send_if_modified(|known| {
                    let is_changed = *known != signers;
                    *known = signers;
                    is_changed
                });
            }
            Err(why) => tracing::warn!(why, "The keys that sign tokens could not be loaded: {why}"),
        }
        self.set.borrow().is_some()
    }

    /// Loads the set until `stop`, at first and then periodically. Calls `on_change` whenever its keys are others.
    pub(super) async fn keep_current(&self, stop: &CancellationToken, on_change: impl Fn()) {
        let mut signers = self.signers();
        let loads = async {
            loop {
                let is_loaded = self.load().await;
                sleep(if is_loaded {
                    self.source.interval()
                } else {
                    FIRST_LOAD_PAUSE
                })
                .await;
            }
        };
        let changes = async {
            while signers.changed().await.is_ok() {
                on_change();
            }
        };

        tokio::select! {
            () = stop.cancelled() => {}
            () = loads => {}
            () = changes => {}
        }
    }
}

/// Returns whether a credential has the form of a token: three parts with dots between them, which no API key has.
pub(super) fn is_token(credential: &str) -> bool {
    credential.split('.').count() == 3
}

fn malformed() -> Problem {
    Problem::unauthenticated("The token is malformed, or its algorithm is not known")
}

/// Returns the error for a token that is refused. It names the claim and repeats nothing of the token.
fn refusal(kind: &ErrorKind) -> Problem {
    Problem::unauthenticated(match kind {
        ErrorKind::ExpiredSignature => "The token has expired",
        ErrorKind::ImmatureSignature => "The token is not valid yet",
        ErrorKind::InvalidIssuer => "The token's issuer is not accepted here",
        ErrorKind::InvalidAudience => "The token is for another audience",
        ErrorKind::MissingRequiredClaim(_) => "The token must have the claims exp, iss and aud",
        ErrorKind::InvalidSignature => "The token's signature is wrong",
        _ => "The token is not valid",
    })
}
