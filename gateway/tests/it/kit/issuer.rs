//! Identity provider that signs tokens, and serves its set of keys over HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use backbone::clock::Clock;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gateway::auth::jwt::{ClaimNames, JwtSettings, KeySource, RoleValues};
use parking_lot::Mutex;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
    RsaKeyPair,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::Party;

/// RSA key that was made for these tests, since ring makes none.
const RSA: &str = include_str!("issuer/rsa.pem");

const ISSUER: &str = "https://issuer.test";
const AUDIENCE: &str = "dealwire";

/// Key of the identity provider.
pub(crate) struct Signer {
    pub(crate) kid: String,
    pub(crate) algorithm: &'static str,
    key: Key,
}

enum Key {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Signer {
    /// Key of 2,048 bits for RS256. All such keys are the same but for their names.
    pub(crate) fn rs256(kid: &str) -> Self {
        let body: String = RSA.lines().filter(|line| !line.starts_with('-')).collect();
        let der = STANDARD.decode(body).expect("the file is PEM");
        let key = RsaKeyPair::from_pkcs8(&der).expect("the file holds a key");

        Self::new(kid, "RS256", Key::Rsa(key))
    }

    /// New key for ES256.
    pub(crate) fn es256(kid: &str) -> Self {
        let random = SystemRandom::new();
        let scheme = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let made = EcdsaKeyPair::generate_pkcs8(scheme, &random).expect("a key can be made");
        let key = EcdsaKeyPair::from_pkcs8(scheme, made.as_ref(), &random);

        Self::new(kid, "ES256", Key::Ec(key.expect("the key is sound")))
    }

    /// New key for EdDSA.
    pub(crate) fn eddsa(kid: &str) -> Self {
        let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key can be made");
        let key = Ed25519KeyPair::from_pkcs8(made.as_ref()).expect("the key is sound");

        Self::new(kid, "EdDSA", Key::Ed(key))
    }

    fn new(kid: &str, algorithm: &'static str, key: Key) -> Self {
        Self {
            kid: kid.to_owned(),
            algorithm,
            key,
        }
    }

    /// Returns the public key as the set describes it.
    pub(crate) fn jwk(&self) -> Value {
        let mut jwk = match &self.key {
            Key::Rsa(key) => {
                let public = PublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({ "kty": "RSA", "n": encode(public.n), "e": encode(public.e) })
            }
            Key::Ec(key) => {
                let point = key.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..]) })
            }
            Key::Ed(key) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(key.public_key()) })
            }
        };
        jwk["kid"] = json!(self.kid);
        jwk["alg"] = json!(self.algorithm);
        jwk["use"] = json!("sig");
        jwk
    }

    /// Returns a token of these claims.
    pub(crate) fn token(&self, claims: &Value) -> String {
        let header = json!({ "alg": self.algorithm, "typ": "JWT", "kid": self.kid });

        self.signed(&header, claims)
    }

    /// Returns a token with this header, which need not be true.
    pub(crate) fn signed(&self, header: &Value, claims: &Value) -> String {
        let message = unsigned(header, claims);

        let signature = self.sign(message.as_bytes());
        format!("{message}.{}", encode(signature))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .expect("a signature can be made");
                signature
            }
            Key::Ec(key) => {
                let signature = key.sign(&random, message).expect("a signature can be made");
                signature.as_ref().to_vec()
            }
            Key::Ed(key) => key.sign(message).as_ref().to_vec(),
        }
    }
}

/// Returns the first two parts of a token.
pub(crate) fn unsigned(header: &Value, claims: &Value) -> String {
    format!(
        "{}.{}",
        encode(header.to_string()),
        encode(claims.to_string())
    )
}

/// Returns bytes as the parts of a token have them.
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns the claims of a valid token of a demo account, which ends after `lifetime`.
pub(crate) fn claims(party: Party, lifetime: Duration) -> Value {
    let role = match party {
        Party::Seller | Party::OtherSeller => "seller",
        Party::Buyer | Party::OtherBuyer => "buyer",
    };
    let now = Clock::system().now_micros() / 1_000_000;

    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": party.id(),
        "role": role,
        "exp": now + lifetime.as_secs() as i64,
    })
}

/// Returns settings that accept the tokens of this issuer.
pub(crate) fn settings(source: KeySource) -> JwtSettings {
    JwtSettings {
        source,
        issuers: vec![ISSUER.to_owned()],
        audiences: vec!["other".to_owned(), AUDIENCE.to_owned()],
        leeway: Duration::ZERO,
        claims: ClaimNames {
            account: "sub".to_owned(),
            role: "role".to_owned(),
        },
        roles: RoleValues {
            seller: "seller".to_owned(),
            buyer: "buyer".to_owned(),
            admin: None,
        },
    }
}

/// Returns a set of keys.
pub(crate) fn key_set<'a>(signers: impl IntoIterator<Item = &'a Signer>) -> Value {
    let keys: Vec<Value> = signers.into_iter().map(Signer::jwk).collect();

    json!({ "keys": keys })
}

/// HTTP server of the set of keys. Ends when it is dropped.
pub(crate) struct Issuer {
    url: String,
    shared: Arc<Shared>,
    _server: JoinSet<()>,
}

#[derive(Default)]
struct Shared {
    set: Mutex<Value>,
    is_down: AtomicBool,
    loads: AtomicUsize,
}

impl Issuer {
    /// Starts a server of the keys of these signers.
    pub(crate) async fn start<'a>(signers: impl IntoIterator<Item = &'a Signer>) -> Self {
        let shared = Arc::new(Shared::default());
        *shared.set.lock() = key_set(signers);

        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let answering = Arc::clone(&shared);
        let answer = move || {
            let answering = Arc::clone(&answering);
            async move { answering.answer() }
        };
        let routes = Router::new().route("/keys", get(answer));

        let mut server = JoinSet::new();
        server.spawn(async move {
            let served = axum::serve(listener, routes).await;
            served.expect("the server goes on");
        });
        Self {
            url: format!("http://{address}/keys"),
            shared,
            _server: server,
        }
    }

    /// Returns the place of the set.
    pub(crate) fn source(&self) -> KeySource {
        KeySource::Url(self.url.parse().expect("a URL"))
    }

    /// Replaces the keys of the set.
    pub(crate) fn publish<'a>(&self, signers: impl IntoIterator<Item = &'a Signer>) {
        *self.shared.set.lock() = key_set(signers);
    }

    /// Makes the server answer with errors.
    pub(crate) fn fail(&self) {
        self.shared.is_down.store(true, Ordering::SeqCst);
    }

    /// Returns how often the set was asked for.
    pub(crate) fn loads(&self) -> usize {
        self.shared.loads.load(Ordering::SeqCst)
    }
}

impl Shared {
    fn answer(&self) -> (StatusCode, String) {
        self.loads.fetch_add(1, Ordering::SeqCst);

        if self.is_down.load(Ordering::SeqCst) {
            return (StatusCode::SERVICE_UNAVAILABLE, String::new());
        }
        (StatusCode::OK, self.set.lock().to_string())
    }
}
