//! What the table is about: one deal, one access, one webhook with one delivery, and a caller of each kind.

use backbone::accounts::Role;
use backbone::testkit::Port;
use serde_json::{Value, json};
use uuid::Uuid;

use super::table::Caller;
use crate::kit::{Client, Party, TestApp};

/// Buyer that no row is about, who is granted access and loses it.
const STRANGER: &str = "0b0e9f6e-4d0c-4a86-8d7f-0000000000a1";

/// A market in which every row of the table has something to be about.
pub(super) struct World {
    /// Variables of all documents.
    pub(super) variables: Value,
    /// Address of the webhooks, at which nothing listens.
    nowhere: Port,
    nobody: Client,
    admin: Client,
    seller: Client,
    other_seller: Client,
    buyer: Client,
    other_buyer: Client,
}

impl World {
    /// Creates everything on the demo market: the buyer has access to the seller, and the other buyer to the other
    /// seller.
    pub(super) async fn create(app: &TestApp) -> Self {
        let (admin, key) = admin(app).await;
        let mut world = Self {
            variables: json!({}),
            nowhere: Port::reserve(),
            nobody: Client::new(&app.url(), None),
            admin,
            seller: app.client(Party::Seller.key()),
            other_seller: app.client(Party::OtherSeller.key()),
            buyer: app.client(Party::Buyer.key()),
            other_buyer: app.client(Party::OtherBuyer.key()),
        };

        let create = "mutation($id: ID!) { createBuyer(name: \"stranger\", id: $id) { id } }";
        world.admin.data(create, json!({ "id": STRANGER })).await;
        world
            .grant(&world.other_seller, Party::OtherBuyer.id())
            .await;
        // Everything after this position is what changes and subscriptions show.
        let mut created = world.seller.create("the deal").await;
        let after = created["position"].take();
        let deal = created["deal"]["id"].take();
        let webhook = world.webhook().await;
        let delivery = world.delivery(&webhook).await;
        world
            .seller
            .rename(deal.as_str().expect("an id"), "the same deal")
            .await;
        let stranger = STRANGER.parse().expect("the constant is a UUID");
        world.grant(&world.seller, stranger).await;
        app.caught_up().await;

        let items = json!([{ "name": "item", "price": 1 }]);
        world.variables = json!({
            "deal": deal,
            "webhook": webhook,
            "delivery": delivery,
            "after": after,
            "stranger": STRANGER,
            "seller": Party::Seller.id(),
            "buyer": Party::Buyer.id(),
            "key": key,
            "create": { "name": "new", "totalPrice": 1, "currency": "GBP", "items": items },
            "update": { "id": deal, "name": "renamed" },
            "register": world.registration(),
            "change": { "id": webhook, "description": "changed" },
            "mine": { "sellerIds": [Party::Seller.id(), Party::OtherSeller.id()] },
        });
        world
    }

    /// Changes something that each caller sees, after what only some of them see.
    pub(super) async fn tell_everybody(&self) {
        self.other_seller.create("for the other buyer").await;
        let revoke = "mutation($buyer: ID!) { revokeAccess(buyerId: $buyer) { granted } }";
        let other_buyer = json!({ "buyer": Party::OtherBuyer.id() });
        self.other_seller.data(revoke, other_buyer).await;
        for party in [Party::OtherBuyer, Party::Buyer] {
            self.grant(&self.other_seller, party.id()).await;
        }
    }

    pub(super) fn client(&self, caller: Caller) -> &Client {
        match caller {
            Caller::Nobody => &self.nobody,
            Caller::OtherBuyer => &self.other_buyer,
            Caller::OtherSeller => &self.other_seller,
            Caller::Admin => &self.admin,
            Caller::Buyer => &self.buyer,
            Caller::Seller => &self.seller,
        }
    }

    /// Returns the value of a variable that is an id; empty for no variable.
    pub(super) fn subject(&self, name: &str) -> &str {
        self.variables[name].as_str().unwrap_or_default()
    }

    /// Puts the values of variables into a text that has their names in angle brackets.
    pub(super) fn fill(&self, text: &str) -> String {
        ["deal", "after", "seller"]
            .iter()
            .fold(text.to_owned(), |text, name| {
                text.replace(&format!("<{name}>"), self.subject(name))
            })
    }

    async fn grant(&self, seller: &Client, buyer: Uuid) {
        let grant = "mutation($buyer: ID!) { grantAccess(buyerId: $buyer) { granted } }";
        seller.data(grant, json!({ "buyer": buyer })).await;
    }

    fn registration(&self) -> Value {
        let url = format!("http://{}/", self.nowhere.addr());
        json!({ "url": url, "events": ["DEAL_CREATED"] })
    }

    async fn webhook(&self) -> Value {
        let register = "mutation($input: RegisterWebhookInput!) { registerWebhook(input: $input) { webhook { id } } }";
        let mut payload = self
            .buyer
            .data(register, json!({ "input": self.registration() }))
            .await;
        payload["registerWebhook"]["webhook"]["id"].take()
    }

    /// Makes a delivery that stays pending, because nothing listens at the webhook's address.
    async fn delivery(&self, webhook: &Value) -> Value {
        let test = "mutation($id: ID!) { testWebhook(id: $id) { delivery { id } } }";
        let mut payload = self.buyer.data(test, json!({ "id": webhook })).await;
        payload["testWebhook"]["delivery"]["id"].take()
    }
}

/// Creates an administrator. Returns its client, and the id of a key that nobody uses.
async fn admin(app: &TestApp) -> (Client, String) {
    let accounts = app.app.backends().sellers.accounts();
    let account = accounts
        .create(None, Role::Admin, "operator")
        .await
        .expect("the account can be created");
    let issue = async || {
        accounts
            .issue(account.id, None)
            .await
            .expect("a key can be issued")
    };

    let key = issue().await;
    let spare = issue().await;
    (app.client(&key.key), spare.id.to_string())
}
