//! Input about endpoints, and the rules that it must satisfy.

use std::collections::HashSet;
use std::hash::Hash;

use crate::kinds::WebhookEvent;
use backbone::FieldError;
use backbone::contract::DealField;
use backbone::ids::SellerId;

use crate::egress::Egress;
use crate::signature::{Secret, SecretText};

/// Largest number of characters of a description.
const MAX_DESCRIPTION: usize = 500;
/// Largest number of characters of a URL.
// Below the limit of the egress guard, which counts bytes after encoding.
const MAX_URL: usize = 2_000;
/// Largest number of sellers that an endpoint may name.
const MAX_SELLERS: usize = 100;

/// Registration of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// URL to call: one that [`Egress::check_url`] permits, at most 2,000 characters long.
    pub url: String,
    /// Kinds of change to call the endpoint for: at least one, no duplicates, never a test.
    pub events: Vec<WebhookEvent>,
    /// Sellers whose deals the endpoint is called for: 1 to 100, no duplicates. `None` means every
    /// seller that grants the buyer access.
    pub seller_ids: Option<Vec<SellerId>>,
    /// Fields of which a change must touch one, unless it creates the deal: at least one, no
    /// duplicates. `None` means every change.
    pub only_when_changed: Option<Vec<DealField>>,
    /// Note: at most 500 characters, without control characters. A blank note counts as none.
    pub description: Option<String>,
    /// Secret that the receiver knows already; a new one is generated if there is none.
    pub secret: Option<SecretText>,
}

/// Changes to an endpoint, under the rules of a [`Registration`]. Fields that are `None` stay as
/// they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// URL to call.
    pub url: Option<String>,
    /// Kinds of change to call the endpoint for.
    pub events: Option<Vec<WebhookEvent>>,
    /// Sellers whose deals the endpoint is called for; `Some(None)` means every seller again.
    pub seller_ids: Option<Option<Vec<SellerId>>>,
    /// Fields of which a change must touch one; `Some(None)` means every change again.
    pub only_when_changed: Option<Option<Vec<DealField>>>,
    /// Note; `Some(None)` removes it.
    pub description: Option<Option<String>>,
    /// `true` pauses the endpoint. `false` resumes it, also if it was disabled, and forgets its
    /// failures.
    pub paused: Option<bool>,
}

impl Registration {
    /// Returns the registration in its stored form and the endpoint's secret, or every violation.
    pub(crate) fn checked(self, egress: &Egress) -> Result<(Self, Secret), Vec<FieldError>> {
        let mut violations = Violations::default();

        let url = violations.check_url(&self.url, egress);
        violations.check_events(&self.events);
        violations.check_sellers(self.seller_ids.as_deref());
        violations.check_fields(self.only_when_changed.as_deref());
        let description = violations.check_description(self.description);
        let secret = violations.check_secret(self.secret.as_ref());

        violations.into_result()?;
        let checked = Self {
            url,
            description,
            ..self
        };
        Ok((checked, secret))
    }
}

impl Changes {
    /// Returns the changes in their stored form, or every violation.
    pub(crate) fn checked(self, egress: &Egress) -> Result<Self, Vec<FieldError>> {
        let mut violations = Violations::default();

        let url = self.url.map(|url| violations.check_url(&url, egress));
        if let Some(events) = &self.events {
            violations.check_events(events);
        }
        if let Some(sellers) = &self.seller_ids {
            violations.check_sellers(sellers.as_deref());
        }
        if let Some(fields) = &self.only_when_changed {
            violations.check_fields(fields.as_deref());
        }
        let description = self
            .description
            .map(|description| violations.check_description(description));

        violations.into_result()?;
        Ok(Self {
            url,
            description,
            ..self
        })
    }
}

/// Violations found so far. All rules are checked before the input is refused, so that a caller can
/// correct everything at once.
#[derive(Default)]
struct Violations(Vec<FieldError>);

impl Violations {
    /// Returns the URL in its normalised form.
    fn check_url(&mut self, url: &str, egress: &Egress) -> String {
        if url.chars().count() > MAX_URL {
            self.add("url", format!("must be at most {MAX_URL} characters"));
            return String::new();
        }

        // The URL is stored as the parser wrote it, so that the guard and the client can only see
        // one and the same host.
        match egress.check_url(url) {
            Ok(url) => url.into(),
            Err(refused) => {
                self.add("url", refused.to_string());
                String::new()
            }
        }
    }

    fn check_events(&mut self, events: &[WebhookEvent]) {
        if events.is_empty() {
            self.add("events", "must contain at least one event");
        }
        // A test is sent to the endpoint that it was requested for and to no other.
        if events.contains(&WebhookEvent::Test) {
            let message = "must not contain TEST: use testWebhook to request a test delivery";
            self.add("events", message);
        }
        self.check_distinct("events", events);
    }

    fn check_sellers(&mut self, sellers: Option<&[SellerId]>) {
        let Some(sellers) = sellers else { return };

        if !(1..=MAX_SELLERS).contains(&sellers.len()) {
            let message = format!(
                "must contain 1 to {MAX_SELLERS} sellers; leave it out to receive the deals of every seller"
            );
            self.add("sellerIds", message);
        }
        self.check_distinct("sellerIds", sellers);
    }

    fn check_fields(&mut self, fields: Option<&[DealField]>) {
        let Some(fields) = fields else { return };

        if fields.is_empty() {
            let message = "must contain at least one field; leave it out to receive every change";
            self.add("onlyWhenChanged", message);
        }
        self.check_distinct("onlyWhenChanged", fields);
    }

    /// Returns the description without surrounding white space; `None` if nothing is left.
    fn check_description(&mut self, description: Option<String>) -> Option<String> {
        let description = description?.trim().to_owned();

        if description.chars().count() > MAX_DESCRIPTION {
            let message = format!("must be at most {MAX_DESCRIPTION} characters");
            self.add("description", message);
        }
        // PostgreSQL cannot store NUL, and no other control character belongs in a one-line note.
        if description.contains(char::is_control) {
            self.add("description", "must not contain control characters");
        }

        (!description.is_empty()).then_some(description)
    }

    /// Returns the imported secret, or a new one.
    fn check_secret(&mut self, imported: Option<&SecretText>) -> Secret {
        let imported = imported.map(SecretText::parse);

        match imported {
            Some(Ok(secret)) => secret,
            Some(Err(wrong)) => {
                self.add("secret", wrong.to_string());
                Secret::generate()
            }
            None => Secret::generate(),
        }
    }

    fn check_distinct<T: Eq + Hash>(&mut self, path: &str, values: &[T]) {
        let distinct: HashSet<&T> = values.iter().collect();
        if distinct.len() < values.len() {
            self.add(path, "must not contain duplicates");
        }
    }

    fn add(&mut self, path: &str, message: impl Into<String>) {
        self.0.push(FieldError::new(path, message));
    }

    /// Returns the violations as an error; `Ok` if there are none.
    fn into_result(self) -> Result<(), Vec<FieldError>> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(self.0)
        }
    }
}
