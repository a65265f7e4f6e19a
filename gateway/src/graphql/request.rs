//! Requests as every transport carries them, and the forms in which they name a document instead of sending it.

use serde_json::{Map, Value};

use crate::error::{Code, Problem};

/// Prefix of an id that is the SHA-256 of the document's text in hexadecimal digits (GraphQL over HTTP, appendix
/// "Persisted Documents").
pub(super) const SHA256_PREFIX: &str = "sha256:";

/// Version of Apollo's protocol of persisted queries.
const PERSISTED_QUERY_VERSION: u64 = 1;

/// A GraphQL request (GraphQL over HTTP, section "Request Parameters"). It has a text, an id of a document, or both.
#[derive(Clone, Debug, Default)]
pub struct GraphqlRequest {
    /// Text of the document.
    pub query: Option<String>,
    /// Id of the document, from the member `documentId`, or from `doc_id` or `id` as older clients have it.
    pub document_id: Option<String>,
    /// Name of the operation to execute; required if the document has several.
    pub operation_name: Option<String>,
    /// Values of the operation's variables.
    pub variables: Option<Map<String, Value>>,
    /// Extensions that the client asks for.
    pub extensions: Option<Map<String, Value>>,
}

/// SHA-256 of a document's text.
pub(super) type TextHash = [u8; 32];

/// Id by which a request names a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DocumentId<'a> {
    /// The id without a prefix that says how it was made.
    pub(super) text: &'a str,
    /// The form that the client sent it in.
    pub(super) form: IdForm,
}

/// Form in which a request names a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdForm {
    /// `extensions.persistedQuery` with a SHA-256, as Apollo and urql send it.
    Apq,
    /// An id with the prefix `sha256:`.
    Sha256,
    /// Any other id.
    Custom,
}

impl GraphqlRequest {
    /// Returns whether each result of a subscription is to tell the position of the one before it.
    pub fn wants_positions(&self) -> bool {
        let extensions = self.extensions.as_ref();

        extensions.is_some_and(sockets::protocol::wants_positions)
    }

    /// Returns whether the request has a text or names a document.
    pub fn has_document(&self) -> bool {
        self.query.is_some() || self.document_id.is_some() || self.persisted_query().is_some()
    }

    /// Name of the operation to execute. An empty one is none, in every transport: clients send it when their document has
    /// one operation.
    pub(super) fn operation(&self) -> Option<&str> {
        let name = self.operation_name.as_deref();

        name.filter(|name| !name.is_empty())
    }

    /// Returns the id of the document; `None` if the request has only a text.
    ///
    /// # Errors
    /// BAD_REQUEST for an extension `persistedQuery` that is malformed or has another version.
    pub(super) fn document_id(&self) -> Result<Option<DocumentId<'_>>, Problem> {
        if let Some(extension) = self.persisted_query() {
            return apq_id(extension).map(Some);
        }

        let id = self.document_id.as_deref();
        Ok(id.map(|id| match id.strip_prefix(SHA256_PREFIX) {
            Some(hash) => DocumentId {
                text: hash,
                form: IdForm::Sha256,
            },
            None => DocumentId {
                text: id,
                form: IdForm::Custom,
            },
        }))
    }

    fn persisted_query(&self) -> Option<&Value> {
        let extension = self.extensions.as_ref()?.get("persistedQuery")?;

        (!extension.is_null()).then_some(extension)
    }
}

/// Reads the extension `persistedQuery`: Apollo's object or, as the recipes of graphql-ws have it, an id alone.
fn apq_id(extension: &Value) -> Result<DocumentId<'_>, Problem> {
    if let Value::String(id) = extension {
        return Ok(DocumentId {
            text: id,
            form: IdForm::Custom,
        });
    }

    let version = extension.get("version");
    if version.is_some_and(|version| version.as_u64() != Some(PERSISTED_QUERY_VERSION)) {
        return Err(malformed("extensions.persistedQuery.version must be 1"));
    }
    let hash = extension.get("sha256Hash").and_then(Value::as_str);
    let hash =
        hash.ok_or_else(|| malformed("extensions.persistedQuery.sha256Hash must be a string"));

    Ok(DocumentId {
        text: hash?,
        form: IdForm::Apq,
    })
}

fn malformed(message: &str) -> Problem {
    Problem::new(Code::BadRequest, message)
}

impl DocumentId<'_> {
    /// Returns the hash that the id stands for; `None` if it is no SHA-256 in hexadecimal digits.
    pub(super) fn hash(&self) -> Option<TextHash> {
        let mut hash = TextHash::default();
        hex::decode_to_slice(self.text, &mut hash).ok()?;

        Some(hash)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn request(extensions: Value, document_id: Option<&str>) -> GraphqlRequest {
        GraphqlRequest {
            document_id: document_id.map(str::to_owned),
            extensions: extensions.as_object().cloned(),
            ..GraphqlRequest::default()
        }
    }

    #[test]
    fn document_ids_are_read_in_every_form() {
        let apq = |value: Value| json!({ "persistedQuery": value });
        let table = [
            (json!({}), None, Ok(None)),
            (apq(Value::Null), None, Ok(None)),
            (json!({}), Some("abc"), Ok(Some(("abc", IdForm::Custom)))),
            (
                json!({}),
                Some("sha256:ab"),
                Ok(Some(("ab", IdForm::Sha256))),
            ),
            (
                json!({}),
                Some("x-md5:ab"),
                Ok(Some(("x-md5:ab", IdForm::Custom))),
            ),
            (
                apq(json!("abc")),
                Some("other"),
                Ok(Some(("abc", IdForm::Custom))),
            ),
            (
                apq(json!({ "version": 1, "sha256Hash": "ab" })),
                None,
                Ok(Some(("ab", IdForm::Apq))),
            ),
            (
                apq(json!({ "sha256Hash": "ab" })),
                None,
                Ok(Some(("ab", IdForm::Apq))),
            ),
            (
                apq(json!({ "version": 2, "sha256Hash": "ab" })),
                None,
                Err("version"),
            ),
            (apq(json!({ "version": 1 })), None, Err("sha256Hash")),
            (apq(json!(7)), None, Err("sha256Hash")),
        ];

        for (extensions, document_id, expected) in table {
            let request = request(extensions, document_id);
            let found = request.document_id();
            match (found, expected) {
                (Ok(found), Ok(expected)) => {
                    let found = found.map(|id| (id.text, id.form));
                    assert_eq!(found, expected, "{request:?}");
                }
                (Err(problem), Err(part)) => {
                    assert_eq!(problem.code, Code::BadRequest);
                    assert!(problem.message.contains(part), "{}", problem.message);
                }
                (found, _) => panic!("{request:?} gave {:?}", found.map_err(|p| p.message)),
            }
        }
    }

    #[test]
    fn only_whole_hashes_are_hashes() {
        let hash = |text: &str| {
            let form = IdForm::Apq;
            DocumentId { text, form }.hash()
        };

        assert_eq!(hash(&"0f".repeat(32)), Some([15; 32]));
        assert_eq!(hash(&"0f".repeat(31)), None);
        assert_eq!(hash(&"0g".repeat(32)), None);
    }
}
