//! What buyers ask of an endpoint, in raw texts and lists, and the rules that judge it.

use std::collections::HashSet;
use std::hash::Hash;

use backbone::FieldError;
use backbone::ids::SellerId;

use super::WebhookEvent;
use super::egress::Egress;

/// The most characters of a description.
const DESCRIPTION: usize = 500;
/// The most characters of a URL.
const URL: usize = 2_000;
/// The most sellers that an endpoint may name.
const SELLERS: usize = 100;

/// An endpoint to be registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Where calls go: what [`Egress::check_url`] lets pass, at most 2,000 characters.
    pub url: String,
    /// What for: at least one, each once, never a test.
    pub events: Vec<WebhookEvent>,
    /// Whose deals: 1 … 100, each once; `None`: of every seller that grants access.
    pub seller_ids: Option<Vec<SellerId>>,
    /// A note: at most 500 characters, none of them a control character; one without any is none.
    pub description: Option<String>,
}

/// What to change of an endpoint, by the rules of a [`Registration`]; what is `None` stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Where calls go.
    pub url: Option<String>,
    /// What for.
    pub events: Option<Vec<WebhookEvent>>,
    /// Whose deals; `Some(None)`: of every seller again.
    pub seller_ids: Option<Option<Vec<SellerId>>>,
    /// A note; `Some(None)`: none.
    pub description: Option<Option<String>>,
    /// Whether it waits. `Some(false)` makes one that was disabled active as well, with its failures forgotten.
    pub paused: Option<bool>,
}

impl Registration {
    /// As it is kept, or every violation.
    pub(super) fn checked(self, egress: &Egress) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let url = url(&self.url, egress, &mut errors);
        events(&self.events, &mut errors);
        sellers(self.seller_ids.as_deref(), &mut errors);
        let description = description(self.description, &mut errors);
        if errors.is_empty() {
            Ok(Self {
                url,
                description,
                ..self
            })
        } else {
            Err(errors)
        }
    }
}

impl Changes {
    /// As it is kept, or every violation.
    pub(super) fn checked(self, egress: &Egress) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let url = self
            .url
            .as_deref()
            .map(|text| url(text, egress, &mut errors));
        if let Some(asked) = &self.events {
            events(asked, &mut errors);
        }
        sellers(
            self.seller_ids.as_ref().and_then(Option::as_deref),
            &mut errors,
        );
        let description = self.description.map(|text| description(text, &mut errors));
        if errors.is_empty() {
            Ok(Self {
                url,
                description,
                ..self
            })
        } else {
            Err(errors)
        }
    }
}

fn url(text: &str, egress: &Egress, errors: &mut Vec<FieldError>) -> String {
    if text.chars().count() > URL {
        refuse(errors, "url", format!("must be at most {URL} characters"));
        return String::new();
    }
    match egress.check_url(text) {
        Ok(url) => url.into(),
        Err(refused) => {
            refuse(errors, "url", refused.to_string());
            String::new()
        }
    }
}

fn events(asked: &[WebhookEvent], errors: &mut Vec<FieldError>) {
    if asked.is_empty() {
        refuse(errors, "events", "must be at least one");
    }
    if asked.contains(&WebhookEvent::Test) {
        refuse(
            errors,
            "events",
            "must not have TEST: tests are asked for one by one",
        );
    }
    distinct(asked, "events", errors);
}

fn sellers(asked: Option<&[SellerId]>, errors: &mut Vec<FieldError>) {
    let Some(asked) = asked else { return };
    if !(1..=SELLERS).contains(&asked.len()) {
        refuse(
            errors,
            "sellerIds",
            format!("must be 1 to {SELLERS}, or absent for every seller"),
        );
    }
    distinct(asked, "sellerIds", errors);
}

/// Control characters have no place in a note, and PostgreSQL keeps no NUL.
fn description(text: Option<String>, errors: &mut Vec<FieldError>) -> Option<String> {
    let text = text?.trim().to_owned();
    if text.chars().count() > DESCRIPTION {
        refuse(
            errors,
            "description",
            format!("must be at most {DESCRIPTION} characters"),
        );
    }
    if text.contains(char::is_control) {
        refuse(errors, "description", "must have no control characters");
    }
    (!text.is_empty()).then_some(text)
}

fn distinct<T: Eq + Hash>(asked: &[T], path: &'static str, errors: &mut Vec<FieldError>) {
    if asked.iter().collect::<HashSet<_>>().len() < asked.len() {
        refuse(errors, path, "must not repeat");
    }
}

fn refuse(errors: &mut Vec<FieldError>, path: &str, message: impl Into<String>) {
    errors.push(FieldError::new(path, message));
}
