//! The table: what each kind of caller is told about each operation.

use Outcome::{Conflict, Forbidden, Hidden, Input, NotFound, Shown, Unauthenticated};

/// Kind of caller, by role and by its relation to the deal, the webhook and the access that the rows are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// No API key.
    Nobody,
    /// Buyer with access to the other seller's deals only, who owns nothing else.
    OtherBuyer,
    /// Seller who does not own the deal.
    OtherSeller,
    /// Administrator.
    Admin,
    /// Buyer with access to the deal, who owns the webhook.
    Buyer,
    /// Seller who owns the deal.
    Seller,
}

/// Callers in the order of the columns. Those whose mutations succeed come last, so that the others have met the same
/// world.
pub(super) const CALLERS: [Caller; 6] = [
    Caller::Nobody,
    Caller::OtherBuyer,
    Caller::OtherSeller,
    Caller::Admin,
    Caller::Buyer,
    Caller::Seller,
];

/// What a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A result with the row's subject in it.
    Shown,
    /// A result without the row's subject, or null.
    Hidden,
    /// BAD_USER_INPUT.
    Input,
    /// CONFLICT: permitted, but not in this state.
    Conflict,
    /// FORBIDDEN.
    Forbidden,
    /// NOT_FOUND.
    NotFound,
    /// UNAUTHENTICATED.
    Unauthenticated,
    /// Any other code, which no row expects.
    Other,
}

impl Outcome {
    pub(super) fn from_code(code: &str) -> Self {
        match code {
            "BAD_USER_INPUT" => Input,
            "CONFLICT" => Conflict,
            "FORBIDDEN" => Forbidden,
            "NOT_FOUND" => NotFound,
            "UNAUTHENTICATED" => Unauthenticated,
            _ => Self::Other,
        }
    }
}

/// One operation with what each caller is told.
pub(super) struct Row {
    /// Document with the root field as its only one.
    pub(super) document: &'static str,
    /// Name of the variable whose value a caller may see or not; empty where the result alone counts.
    pub(super) subject: &'static str,
    pub(super) outcomes: [Outcome; 6],
}

impl Row {
    /// Root type and name of the field.
    pub(super) fn field(&self) -> String {
        let root = match self.document.split(['(', ' ']).next() {
            Some("query") => "Query",
            Some("mutation") => "Mutation",
            _ => "Subscription",
        };
        let (_, selected) = self.document.split_once("{ ").expect("a document selects");
        let field = selected.split(['(', ' ']).next();

        format!("{root}.{}", field.unwrap_or_default())
    }

    pub(super) fn is_subscription(&self) -> bool {
        self.document.starts_with("subscription")
    }
}

const fn row(subject: &'static str, document: &'static str, outcomes: [Outcome; 6]) -> Row {
    Row {
        document,
        subject,
        outcomes,
    }
}

/// Everybody with a key.
const KEY: [Outcome; 6] = [Unauthenticated, Shown, Shown, Shown, Shown, Shown];
/// Readers of the deal; others do not learn that it exists.
const DEAL: [Outcome; 6] = [Unauthenticated, Hidden, Hidden, Forbidden, Shown, Shown];
/// Buyers, about something that one of them owns and the others do not see.
const BUYERS_SEE: [Outcome; 6] = [
    Unauthenticated,
    Hidden,
    Forbidden,
    Forbidden,
    Shown,
    Forbidden,
];
/// Buyers, about something that one of them owns and that does not exist for the others.
const BUYERS_OWN: [Outcome; 6] = [
    Unauthenticated,
    NotFound,
    Forbidden,
    Forbidden,
    Shown,
    Forbidden,
];
/// Sellers, about something that one of them owns and the others do not see.
const SELLERS_SEE: [Outcome; 6] = [
    Unauthenticated,
    Forbidden,
    Hidden,
    Forbidden,
    Forbidden,
    Shown,
];
/// Sellers, about something that one of them owns and that does not exist for the others.
const SELLERS_OWN: [Outcome; 6] = [
    Unauthenticated,
    Forbidden,
    NotFound,
    Forbidden,
    Forbidden,
    Shown,
];
/// Every seller, about something new of its own.
const SELLERS: [Outcome; 6] = [
    Unauthenticated,
    Forbidden,
    Shown,
    Forbidden,
    Forbidden,
    Shown,
];
/// Every seller for itself; an administrator must say for whom.
const FOR_ITSELF: [Outcome; 6] = [Unauthenticated, Forbidden, Shown, Input, Forbidden, Shown];
/// The seller that is named, and administrators in its name.
const IN_ITS_NAME: [Outcome; 6] = [
    Unauthenticated,
    Forbidden,
    Forbidden,
    Shown,
    Forbidden,
    Shown,
];
/// Administrators.
const ADMINS: [Outcome; 6] = [
    Unauthenticated,
    Forbidden,
    Forbidden,
    Shown,
    Forbidden,
    Forbidden,
];
/// Administrators, about something that does not exist.
const ADMINS_LOOK: [Outcome; 6] = [
    Unauthenticated,
    Forbidden,
    Forbidden,
    NotFound,
    Forbidden,
    Forbidden,
];
/// Buyers, of whom the owner may, but not now.
const NOT_NOW: [Outcome; 6] = [
    Unauthenticated,
    NotFound,
    Forbidden,
    Forbidden,
    Conflict,
    Forbidden,
];

/// Rows of GraphQL, in an order in which none changes what a later one is about.
#[rustfmt::skip]
pub(super) const ROWS: [Row; 44] = [
    row("", "query { viewer { id } }", KEY),
    row("deal", "query($deal: ID!) { node(id: $deal) { id } }", DEAL),
    row("webhook", "query($webhook: ID!) { node(id: $webhook) { id } }",
        [Unauthenticated, Hidden, Hidden, Forbidden, Shown, Hidden]),
    row("delivery", "query($delivery: ID!) { node(id: $delivery) { id } }",
        [Unauthenticated, Hidden, Hidden, Forbidden, Shown, Hidden]),
    row("deal", "query($deal: ID!) { deal(id: $deal) { id } }", DEAL),
    row("deal", "query { dealsForBuyer { nodes { id } } }", BUYERS_SEE),
    row("deal", "query { dealsForSeller { nodes { id } } }", SELLERS_SEE),
    row("seller", "query { accessForBuyer { nodes { sellerId } } }", BUYERS_SEE),
    row("buyer", "query { accessForSeller { nodes { buyerId } } }", SELLERS_SEE),
    row("deal", "query($after: Position!) { changes(after: $after) { changes { deal { id } } } }", DEAL),
    row("webhook", "query { webhooks { id } }", BUYERS_SEE),
    row("delivery", "query { webhookDeliveries { nodes { id } } }", BUYERS_SEE),
    row("", "query($webhook: ID!) { webhookReplays(webhookId: $webhook) { id } }",
        [Unauthenticated, Shown, Forbidden, Forbidden, Shown, Forbidden]),
    row("", "query { apiKeys { id } }", [Unauthenticated, Shown, Shown, Input, Shown, Shown]),
    row("", "query { projections { head } }", ADMINS),
    row("", "query { deadEvents(side: BUYER) { sequence } }", ADMINS),
    row("", "query { storedEvent(sequence: 1) { subject } }", ADMINS),
    row("", "mutation { repairEvent(sequence: 900000, why: \"a trial\") { position } }", ADMINS_LOOK),
    row("", "mutation { skipEvent(sequence: 900000, why: \"a trial\") { position } }", ADMINS_LOOK),
    row("", "mutation { discardEvent(sequence: 900000, why: \"a trial\") { position } }", ADMINS_LOOK),
    row("", "mutation($create: CreateDealInput!) { createDeal(input: $create) { deal { id } } }", SELLERS),
    row("deal", "mutation($update: UpdateDealInput!) { updateDeal(input: $update) { deal { id } } }", SELLERS_OWN),
    row("", "mutation($stranger: ID!) { grantAccess(buyerId: $stranger) { granted } }", FOR_ITSELF),
    row("", "mutation($stranger: ID!, $seller: ID) { grantAccess(buyerId: $stranger, sellerId: $seller) { granted } }",
        IN_ITS_NAME),
    row("", "mutation($stranger: ID!) { revokeAccess(buyerId: $stranger) { granted } }", FOR_ITSELF),
    row("", "mutation($stranger: ID!, $seller: ID) { revokeAccess(buyerId: $stranger, sellerId: $seller) { granted } }",
        IN_ITS_NAME),
    row("", "mutation { createSeller(name: \"new\") { id } }", ADMINS),
    row("", "mutation { createBuyer(name: \"new\") { id } }", ADMINS),
    row("", "mutation($stranger: ID!) { issueApiKey(accountId: $stranger) { key } }", ADMINS),
    row("key", "mutation($key: ID!) { revokeApiKey(id: $key) { id } }", ADMINS),
    row("", "mutation($stranger: ID!) { disableAccount(id: $stranger) { id } }", ADMINS),
    row("", "mutation($stranger: ID!) { enableAccount(id: $stranger) { id } }", ADMINS),
    row("", "mutation($register: RegisterWebhookInput!) { registerWebhook(input: $register) { secret } }",
        [Unauthenticated, Shown, Forbidden, Forbidden, Shown, Forbidden]),
    row("webhook", "mutation($change: UpdateWebhookInput!) { updateWebhook(input: $change) { webhook { id } } }", BUYERS_OWN),
    row("webhook", "mutation($webhook: ID!) { rotateWebhookSecret(id: $webhook) { webhook { id } } }", BUYERS_OWN),
    row("webhook", "mutation($webhook: ID!) { testWebhook(id: $webhook) { delivery { webhookId } } }", BUYERS_OWN),
    row("", "mutation($delivery: ID!) { replayWebhookDelivery(id: $delivery) { delivery { id } } }", NOT_NOW),
    row("webhook", "mutation($webhook: ID!) { replayWebhook(input: { webhookId: $webhook, dryRun: true }) { webhookId } }",
        BUYERS_OWN),
    row("", "mutation($webhook: ID!) { cancelWebhookReplay(id: $webhook) { id } }",
        [Unauthenticated, NotFound, Forbidden, Forbidden, NotFound, Forbidden]),
    row("webhook", "mutation($webhook: ID!) { deleteWebhook(id: $webhook) { id } }", BUYERS_OWN),
    row("deal", "subscription($after: Position) { dealChanged(after: $after) { deal { id } } }", DEAL),
    row("deal", "subscription($after: Position, $mine: DealFilter) { dealChanged(after: $after, filter: $mine) { deal { id } } }",
        DEAL),
    row("stranger", "subscription($after: Position) { accessChanged(after: $after) { buyerId } }",
        [Unauthenticated, Hidden, Hidden, Forbidden, Hidden, Shown]),
    row("", "subscription($after: Position) { accessChanged(after: $after) { granted } }",
        [Unauthenticated, Shown, Shown, Forbidden, Shown, Shown]),
];

/// Calls of REST: the method, the path and the body, with the names of variables in angle brackets.
#[rustfmt::skip]
pub(super) const REST: [(&str, &str, Option<&str>, [Outcome; 6]); 8] = [
    ("GET", "/deal", None, DEAL),
    ("GET", "/deal/<deal>", None, [Unauthenticated, NotFound, NotFound, Forbidden, Shown, Shown]),
    ("GET", "/changes?after=<after>", None, DEAL),
    ("POST", "/deal", Some(r#"{"name":"n","totalPrice":1,"currency":"GBP","items":[{"name":"n","price":1}]}"#), SELLERS),
    ("PUT", "/deal", Some(r#"{"id":"<deal>","name":"n","totalPrice":1,"currency":"GBP","status":"available",
        "items":[{"name":"n","price":1}]}"#), SELLERS_OWN),
    ("PUT", "/deal/<deal>", Some(r#"{"name":"m","totalPrice":1,"currency":"GBP","status":"available",
        "items":[{"name":"n","price":1}]}"#), SELLERS_OWN),
    ("POST", "/deal", Some(r#"{"sellerId":"<seller>","name":"n","totalPrice":1,"currency":"GBP",
        "items":[{"name":"n","price":1}]}"#), [Unauthenticated, Forbidden, Forbidden, Forbidden, Forbidden, Shown]),
    ("GET", "/openapi.json", None, [Hidden; 6]),
];
