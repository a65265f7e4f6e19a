//! Settings of tokens: JSON Web Tokens of an identity provider.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use url::{Host, Url};

use crate::auth::jwt::{ClaimNames, JwtSettings, KeySource, RoleValues};

/// Flags of tokens, as given.
#[derive(Args, Clone, Debug)]
pub(super) struct TokenSettings {
    /// URL of the identity provider's set of keys (JWKS): https://…, or http:// on this machine
    ///
    /// Tokens (JWTs) are then accepted where API keys are. They must be signed with RS256, ES256 or EdDSA, and name an
    /// account of the market that exists and is enabled. The set is loaded again every five minutes, and at most once
    /// a minute for a token whose key it does not hold; the present one stays while it cannot be loaded.
    #[arg(long, env = "DEALWIRE_JWT_JWKS_URL", value_name = "URL", global = true)]
    jwt_jwks_url: Option<String>,

    /// File with the set of keys (JWKS), instead of --jwt-jwks-url; read again every ten seconds
    #[arg(
        long,
        env = "DEALWIRE_JWT_JWKS_FILE",
        value_name = "FILE",
        global = true
    )]
    jwt_jwks_file: Option<PathBuf>,

    /// Accepted issuers of tokens (claim iss), separated by commas; required for tokens
    #[arg(
        long,
        env = "DEALWIRE_JWT_ISSUER",
        value_name = "ISSUERS",
        value_delimiter = ',',
        global = true
    )]
    jwt_issuer: Vec<String>,

    /// Accepted audiences of tokens (claim aud), separated by commas, of which a token must name one; required for tokens
    ///
    /// An audience of Dealwire's own keeps tokens out that the same issuer made for other services.
    #[arg(
        long,
        env = "DEALWIRE_JWT_AUDIENCE",
        value_name = "AUDIENCES",
        value_delimiter = ',',
        global = true
    )]
    jwt_audience: Vec<String>,

    /// Seconds that the clocks of this process and of the issuer may differ, 0 to 300
    ///
    /// A token is accepted for this long after its exp and before its nbf.
    #[arg(
        long,
        env = "DEALWIRE_JWT_LEEWAY_SECONDS",
        default_value_t = 30,
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u16).range(0..=300),
        global = true
    )]
    jwt_leeway_seconds: u16,

    /// Claim with the id of the token's account: a name, or a JSON pointer such as /account/id
    #[arg(
        long,
        env = "DEALWIRE_JWT_ACCOUNT_CLAIM",
        default_value = "sub",
        value_name = "CLAIM",
        global = true
    )]
    jwt_account_claim: String,

    /// Claim with the role of the token's account, or with a list that holds it: a name, or a JSON pointer such as
    /// /realm_access/roles
    #[arg(
        long,
        env = "DEALWIRE_JWT_ROLE_CLAIM",
        default_value = "role",
        value_name = "CLAIM",
        global = true
    )]
    jwt_role_claim: String,

    /// Value of the role's claim that means a seller
    #[arg(
        long,
        env = "DEALWIRE_JWT_SELLER_ROLE",
        default_value = "seller",
        value_name = "VALUE",
        global = true
    )]
    jwt_seller_role: String,

    /// Value of the role's claim that means a buyer
    #[arg(
        long,
        env = "DEALWIRE_JWT_BUYER_ROLE",
        default_value = "buyer",
        value_name = "VALUE",
        global = true
    )]
    jwt_buyer_role: String,

    /// Value of the role's claim that means an administrator (default: no token makes one)
    ///
    /// Whoever can make the issuer sign this value administers the market.
    #[arg(
        long,
        env = "DEALWIRE_JWT_ADMIN_ROLE",
        value_name = "VALUE",
        global = true
    )]
    jwt_admin_role: Option<String>,
}

impl TokenSettings {
    /// Returns the rules for tokens, `None` if none are accepted. What makes no sense is added to `faults`.
    pub(super) fn check(&self, faults: &mut Vec<String>) -> Option<JwtSettings> {
        let source = self.source(faults)?;
        let given = |values: &[String], flag: &str, faults: &mut Vec<String>| {
            let values: Vec<String> = values.iter().filter(|it| !it.is_empty()).cloned().collect();
            if values.is_empty() {
                faults.push(format!(
                    "{flag} is required for tokens, or those for other services would be accepted"
                ));
            }
            values
        };

        let roles = RoleValues {
            seller: self.jwt_seller_role.clone(),
            buyer: self.jwt_buyer_role.clone(),
            admin: self
                .jwt_admin_role
                .clone()
                .filter(|value| !value.is_empty()),
        };
        check_roles(&roles, faults);

        Some(JwtSettings {
            source,
            issuers: given(&self.jwt_issuer, "--jwt-issuer", faults),
            audiences: given(&self.jwt_audience, "--jwt-audience", faults),
            leeway: Duration::from_secs(self.jwt_leeway_seconds.into()),
            claims: ClaimNames {
                account: self.jwt_account_claim.clone(),
                role: self.jwt_role_claim.clone(),
            },
            roles,
        })
    }

    fn source(&self, faults: &mut Vec<String>) -> Option<KeySource> {
        // Templates of deployments set unused variables to an empty text, so that counts as absent.
        let url = self.jwt_jwks_url.as_deref().filter(|url| !url.is_empty());
        let file = self.jwt_jwks_file.as_ref();
        let file = file.filter(|file| !file.as_os_str().is_empty());

        match (url, file) {
            (None, None) => None,
            (None, Some(file)) => Some(KeySource::File(file.clone())),
            (Some(url), None) => match Url::parse(url) {
                Ok(url) if is_safe(&url) => Some(KeySource::Url(url)),
                _ => {
                    faults.push(format!(
                        "--jwt-jwks-url must begin with https://, or with http:// and a loopback \
                         address, but is {url:?}"
                    ));
                    None
                }
            },
            (Some(_), Some(_)) => {
                faults.push("--jwt-jwks-url and --jwt-jwks-file exclude each other".to_owned());
                None
            }
        }
    }
}

/// Returns whether nobody on the way can replace the keys.
fn is_safe(url: &Url) -> bool {
    let is_here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };

    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

fn check_roles(roles: &RoleValues, faults: &mut Vec<String>) {
    let RoleValues {
        seller,
        buyer,
        admin,
    } = roles;

    if seller == buyer
        || [seller, buyer]
            .into_iter()
            .any(|role| Some(role) == admin.as_ref())
    {
        faults.push(
            "--jwt-seller-role, --jwt-buyer-role and --jwt-admin-role must differ".to_owned(),
        );
    }
}
