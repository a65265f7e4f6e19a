//! Results as subscribers get them.

use std::sync::OnceLock;

/// One result, in every form in which it is sent.
#[derive(Debug)]
pub struct Rendered {
    json: Box<str>,
    /// The packed form, made when it is wanted for the first time.
    packed: OnceLock<Box<[u8]>>,
}

impl Rendered {
    /// Takes a result as JSON.
    pub fn new(json: impl Into<Box<str>>) -> Self {
        Self {
            json: json.into(),
            packed: OnceLock::new(),
        }
    }

    /// Returns the result as JSON.
    pub fn json(&self) -> &str {
        &self.json
    }

    /// Returns the packed form, made by `pack` unless it was made before. All callers must pack alike.
    pub fn packed(&self, pack: impl FnOnce(&str) -> Box<[u8]>) -> &[u8] {
        self.packed.get_or_init(|| pack(&self.json))
    }
}
