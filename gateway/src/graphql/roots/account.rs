//! Root fields of accounts and API keys.

use async_graphql::ID;
use backbone::accounts::{KeyTerms, Role};
use serde::Deserialize;
use uuid::Uuid;

use super::IdArgs;
use crate::accounts::{IdempotencyKey, NewAccount};
use crate::error::Problem;
use crate::graphql::account::{Account, ApiKey, IssuedApiKey, RevokedApiKey};
use crate::graphql::context::RootContext;
use crate::graphql::ids::parse_id;
use crate::graphql::scalars::DateTime;

/// Arguments of `createSeller` and `createBuyer`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graphql) struct AccountArgs {
    pub(in crate::graphql) name: String,
    pub(in crate::graphql) id: Option<ID>,
    pub(in crate::graphql) idempotency_key: Option<String>,
}

/// Arguments of `issueApiKey`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graphql) struct IssueKeyArgs {
    pub(in crate::graphql) account_id: ID,
    pub(in crate::graphql) label: Option<String>,
    pub(in crate::graphql) expires_at: Option<DateTime>,
    pub(in crate::graphql) idempotency_key: Option<String>,
}

/// Arguments of `apiKeys`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::graphql) struct KeysArgs {
    pub(in crate::graphql) account_id: Option<ID>,
}

/// Reads the API keys of the caller, or of the account that an administrator names.
pub(in crate::graphql) async fn api_keys(
    context: RootContext<'_>,
    arguments: KeysArgs,
) -> Result<Option<Vec<ApiKey>>, Problem> {
    let account = account_of_keys(context, arguments.account_id)?;

    let services = context.services;
    let keys = services.read(services.accounts.keys(account)).await?;
    Ok(Some(keys.into_iter().map(ApiKey::from).collect()))
}

/// Creates a seller.
pub(in crate::graphql) async fn create_seller(
    context: RootContext<'_>,
    arguments: AccountArgs,
) -> Result<Account, Problem> {
    create_account(context, Role::Seller, arguments).await
}

/// Creates a buyer.
pub(in crate::graphql) async fn create_buyer(
    context: RootContext<'_>,
    arguments: AccountArgs,
) -> Result<Account, Problem> {
    create_account(context, Role::Buyer, arguments).await
}

/// Disables an account.
pub(in crate::graphql) async fn disable_account(
    context: RootContext<'_>,
    arguments: IdArgs,
) -> Result<Account, Problem> {
    let caller = context.principal()?;
    caller.admin()?;
    let account = parse_id("id", &arguments.id)?;
    // The last administrator could not undo it.
    if account == caller.id() {
        return Err(Problem::input("id", "must not be your own account"));
    }

    let services = context.services;
    let disabled = services.write(services.accounts.disable(account)).await?;

    // Other gateways find out at their next check; here there is no reason to wait for it.
    services.keys.check_now();
    Ok(disabled.into())
}

/// Enables an account.
pub(in crate::graphql) async fn enable_account(
    context: RootContext<'_>,
    arguments: IdArgs,
) -> Result<Account, Problem> {
    context.principal()?.admin()?;
    let account = parse_id("id", &arguments.id)?;

    let services = context.services;
    let enabled = services.write(services.accounts.enable(account)).await?;
    Ok(enabled.into())
}

/// Issues a key for an account.
pub(in crate::graphql) async fn issue_api_key(
    context: RootContext<'_>,
    arguments: IssueKeyArgs,
) -> Result<IssuedApiKey, Problem> {
    context.principal()?.admin()?;
    let account = parse_id("accountId", &arguments.account_id)?;
    let key = idempotency_key(context, arguments.idempotency_key)?;
    let terms = KeyTerms {
        label: arguments.label.as_deref(),
        expires_at: arguments.expires_at.map(|end| end.0),
    };

    let services = context.services;
    let issued = services.accounts.issue(account, terms, key);
    Ok(services.write(issued).await?.into())
}

/// Revokes a key.
pub(in crate::graphql) async fn revoke_api_key(
    context: RootContext<'_>,
    arguments: IdArgs,
) -> Result<RevokedApiKey, Problem> {
    context.principal()?.admin()?;
    let key = parse_id("id", &arguments.id)?;

    let services = context.services;
    let revoked_at = services.write(services.accounts.revoke(key)).await?;

    // Other gateways find out at their next check; here there is no reason to wait for it.
    services.keys.check_now();
    Ok(RevokedApiKey {
        id: arguments.id,
        revoked_at: DateTime(revoked_at),
    })
}

async fn create_account(
    context: RootContext<'_>,
    role: Role,
    arguments: AccountArgs,
) -> Result<Account, Problem> {
    context.principal()?.admin()?;
    let id = arguments.id.map(|id| parse_id("id", &id)).transpose()?;
    let key = idempotency_key(context, arguments.idempotency_key)?;
    let account = NewAccount {
        role,
        name: &arguments.name,
        id,
    };

    let services = context.services;
    let created = services.accounts.create(account, key);
    Ok(services.write(created).await?.into())
}

fn idempotency_key(
    context: RootContext<'_>,
    key: Option<String>,
) -> Result<Option<IdempotencyKey>, Problem> {
    let caller = context.principal()?.id();

    key.map(|key| IdempotencyKey::new(caller, &key)).transpose()
}

/// Returns the account whose keys are shown: the caller's own, or the one that an administrator names.
fn account_of_keys(context: RootContext<'_>, named: Option<ID>) -> Result<Uuid, Problem> {
    let caller = context.principal()?;
    let named = named.map(|id| parse_id("accountId", &id)).transpose()?;

    match (caller.role(), named) {
        (Role::Admin, Some(id)) => Ok(id),
        (Role::Admin, None) => Err(Problem::input(
            "accountId",
            "is required for administrators",
        )),
        (_, Some(id)) if id != caller.id() => Err(Problem::forbidden(
            "accountId names another account; only administrators may do that",
        )),
        _ => Ok(caller.id()),
    }
}
