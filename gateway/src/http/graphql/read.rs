//! Requests as HTTP carries them: in a JSON body, or in the parameters of a URL.

use axum::body::Bytes;
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;
use serde_json::{Map, Value};

use crate::error::{Code, Problem};
use crate::graphql::GraphqlRequest;
use crate::http::json_body::BodyFault;

/// Answer to a request that says in no way what to execute.
const NO_DOCUMENT: &str =
    "The request has no query and names no document by documentId or extensions.persistedQuery";

/// Reason why a request cannot be read.
pub(super) enum Fault {
    /// The body cannot be had.
    Body(BodyFault),
    /// The body or the parameters are not a request.
    Malformed(Malformed),
}

impl From<BodyFault> for Fault {
    fn from(fault: BodyFault) -> Self {
        Self::Body(fault)
    }
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// Request that is not one of GraphQL.
#[derive(Debug)]
pub(super) struct Malformed {
    pub(super) problem: Problem,
    /// True if the encoding was right, but what it holds is not a GraphQL request.
    pub(super) is_shape: bool,
}

impl Malformed {
    fn shape(message: &str) -> Self {
        Self {
            problem: Problem::new(Code::BadRequest, message),
            is_shape: true,
        }
    }

    fn json(what: &str, error: &serde_json::Error) -> Self {
        let message = format!("{what}: {error}");

        Self {
            problem: Problem::new(Code::BadRequest, message),
            is_shape: error.classify() == Category::Data,
        }
    }
}

/// Members of a JSON body (GraphQL over HTTP, section "JSON Encoding"); others are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    query: Option<String>,
    document_id: Option<String>,
    #[serde(default, rename = "doc_id", deserialize_with = "text_or_nothing")]
    doc_id: Option<String>,
    #[serde(default, deserialize_with = "text_or_nothing")]
    id: Option<String>,
    operation_name: Option<String>,
    variables: Option<Map<String, Value>>,
    extensions: Option<Map<String, Value>>,
}

/// Reads a member that only older clients use for documents: anything but a text means something else.
fn text_or_nothing<'de, D: Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(input)? {
        Value::String(text) => Ok(Some(text)),
        _ => Ok(None),
    }
}

/// Reads a request from a JSON body.
pub(super) fn body(body: &Bytes) -> Result<GraphqlRequest, Malformed> {
    // Looked for before parsing, since the parser would only report an unexpected type.
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        let message = "Batches are not supported; send one request at a time";
        return Err(Malformed::shape(message));
    }

    let body: Body = serde_json::from_slice(body)
        .map_err(|error| Malformed::json("The body is not a GraphQL request", &error))?;

    with_document(GraphqlRequest {
        query: body.query,
        document_id: body.document_id.or(body.doc_id).or(body.id),
        operation_name: body.operation_name,
        variables: body.variables,
        extensions: body.extensions,
    })
}

/// Reads a request from the query of a URL. Empty parameters count as absent.
pub(super) fn parameters(query: &str) -> Result<GraphqlRequest, Malformed> {
    let mut request = GraphqlRequest::default();
    let mut doc_id = None;
    let mut id = None;

    let parameters = url::form_urlencoded::parse(query.as_bytes());
    for (name, value) in parameters.filter(|(_, value)| !value.is_empty()) {
        match name.as_ref() {
            "query" => request.query = Some(value.into_owned()),
            "documentId" => request.document_id = Some(value.into_owned()),
            "doc_id" => doc_id = Some(value.into_owned()),
            "id" => id = Some(value.into_owned()),
            "operationName" => request.operation_name = Some(value.into_owned()),
            "variables" => request.variables = object(&name, &value)?,
            "extensions" => request.extensions = object(&name, &value)?,
            // Other parameters are ignored, as are other members of a JSON body.
            _ => {}
        }
    }

    request.document_id = request.document_id.or(doc_id).or(id);
    with_document(request)
}

/// Reads a parameter that is a JSON object or null.
fn object(name: &str, value: &str) -> Result<Option<Map<String, Value>>, Malformed> {
    serde_json::from_str(value).map_err(|error| {
        let what = format!("The parameter {name} is not a JSON object");
        Malformed::json(&what, &error)
    })
}

fn with_document(request: GraphqlRequest) -> Result<GraphqlRequest, Malformed> {
    if request.has_document() {
        Ok(request)
    } else {
        Err(Malformed::shape(NO_DOCUMENT))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<GraphqlRequest, Malformed> {
        body(&Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn bodies_name_documents_in_several_ways() {
        for (text, id) in [
            (r#"{"query":"{a}"}"#, None),
            (r#"{"query":"{a}","id":7,"doc_id":{}}"#, None),
            (r#"{"documentId":"d","doc_id":"e","id":"f"}"#, Some("d")),
            (r#"{"query":null,"doc_id":"e","id":"f"}"#, Some("e")),
            (r#"{"id":"f","unknown":[]}"#, Some("f")),
            (r#"{"extensions":{"persistedQuery":{}}}"#, None),
        ] {
            let request = read(text).unwrap_or_else(|fault| panic!("{text}: {fault:?}"));
            assert_eq!(request.document_id.as_deref(), id, "{text}");
        }
    }

    #[test]
    fn malformed_bodies_differ_from_malformed_requests() {
        for (text, is_shape) in [
            ("", false),
            ("{", false),
            ("\u{1}", false),
            ("{}", true),
            ("[]", true),
            ("7", true),
            (r#"{"query":7}"#, true),
            (r#"{"query":"{a}","variables":[]}"#, true),
            (r#"{"query":"{a}","operationName":false}"#, true),
            (r#"{"query":"{a}","extensions":""}"#, true),
            (r#"{"documentId":7}"#, true),
            (r#"{"query":"{a}","query":"{b}"}"#, true),
            (r#"{"extensions":{"persistedQuery":null}}"#, true),
        ] {
            let fault = read(text).expect_err(text);
            assert_eq!(fault.is_shape, is_shape, "{text}");
        }
    }

    #[test]
    fn parameters_are_a_request() {
        let request = parameters(
            "query=%7Ba%7D&operationName=&variables=%7B%22n%22%3A1%7D&extensions=null&id=&x=y",
        );
        let request = request.expect("the parameters are a request");

        assert_eq!(request.query.as_deref(), Some("{a}"));
        assert_eq!(request.operation_name, None);
        assert_eq!(request.document_id, None);
        assert_eq!(
            request.variables.map(Value::Object),
            Some(json!({ "n": 1 }))
        );
        assert_eq!(request.extensions, None);

        let by_id = parameters("query=&documentId=sha256%3Aab").expect("an id is enough");
        assert_eq!(
            (by_id.query, by_id.document_id),
            (None, Some("sha256:ab".to_owned()))
        );

        assert!(parameters("query=").expect_err("nothing").is_shape);
        assert!(
            !parameters("query=a&variables=%7B")
                .expect_err("no JSON")
                .is_shape
        );
        assert!(
            parameters("query=a&variables=7")
                .expect_err("no object")
                .is_shape
        );
    }
}
