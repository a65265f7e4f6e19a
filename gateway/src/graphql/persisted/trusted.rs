//! Trusted documents: those of manifests that clients' build tools write.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use documents::{Documents, Limits};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::graphql::request::SHA256_PREFIX;
use crate::graphql::schema::document_schema;

/// Format of the manifests that `@apollo/generate-persisted-query-manifest` writes.
const APOLLO_FORMAT: &str = "apollo-persisted-query-manifest";
/// Version of that format.
const APOLLO_VERSION: u64 = 1;

/// Documents by their id, and by the SHA-256 of their text.
#[derive(Clone, Default)]
pub struct TrustedDocuments {
    /// Texts by id, without the prefix `sha256:`, which graphql-codegen writes.
    by_id: HashMap<Box<str>, Arc<str>>,
    count: usize,
}

/// A manifest of Apollo's.
#[derive(Deserialize)]
struct ApolloManifest {
    version: u64,
    operations: Vec<ApolloOperation>,
}

#[derive(Deserialize)]
struct ApolloOperation {
    id: String,
    body: String,
}

/// Document of a manifest, with its id.
struct Entry {
    id: String,
    text: String,
}

impl TrustedDocuments {
    /// Reads manifests and checks every document against the schema. A manifest is that of Apollo
    /// (`@apollo/generate-persisted-query-manifest`), or an object from ids to texts as Relay and graphql-codegen write it.
    ///
    /// # Errors
    /// Every fault, one sentence each: files that cannot be read, documents that are not valid, and ids that two documents
    /// have.
    pub fn load(files: &[PathBuf]) -> Result<Self, Vec<String>> {
        if files.is_empty() {
            return Ok(Self::default());
        }

        let documents = Documents::new(document_schema(), Limits::default());
        let mut trusted = Self::default();
        let mut faults = Vec::new();
        for file in files {
            match read(file) {
                Ok(entries) => trusted.add(entries, file, &documents, &mut faults),
                Err(fault) => faults.push(format!("{}: {fault}", file.display())),
            }
        }

        if faults.is_empty() {
            Ok(trusted)
        } else {
            Err(faults)
        }
    }

    /// Returns the number of documents.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns the text of a document, whose id is given without a prefix.
    pub(super) fn get(&self, id: &str) -> Option<&Arc<str>> {
        self.by_id.get(id)
    }

    fn add(
        &mut self,
        entries: Vec<Entry>,
        file: &Path,
        documents: &Documents,
        faults: &mut Vec<String>,
    ) {
        for Entry { id, text } in entries {
            if let Err(errors) = documents.check(&text) {
                let why: Vec<String> = errors.iter().map(ToString::to_string).collect();
                let why = why.join("; ");
                faults.push(format!(
                    "{}: the document {id} is not valid: {why}",
                    file.display()
                ));
                continue;
            }
            let key = without_prefix(&id);
            if self.get(key).is_some_and(|other| **other != *text) {
                faults.push(format!(
                    "{}: the id {id} belongs to two different documents",
                    file.display()
                ));
                continue;
            }

            self.insert(key, text.into());
        }
    }

    fn insert(&mut self, id: &str, text: Arc<str>) {
        let hash = hex::encode(Sha256::digest(&*text));

        // Clients may name any document by its hash, whatever its manifest calls it.
        self.by_id.insert(hash.into(), Arc::clone(&text));
        self.by_id.insert(id.into(), text);
        self.count += 1;
    }
}

fn without_prefix(id: &str) -> &str {
    id.strip_prefix(SHA256_PREFIX).unwrap_or(id)
}

/// Reads the documents of a manifest.
fn read(file: &Path) -> Result<Vec<Entry>, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("cannot be read: {error}"))?;
    let manifest: Map<String, Value> =
        serde_json::from_str(&text).map_err(|error| format!("is not a JSON object: {error}"))?;

    if manifest
        .get("format")
        .is_some_and(|format| format == APOLLO_FORMAT)
    {
        return read_apollo(Value::Object(manifest));
    }

    let entries = manifest.into_iter().map(|(id, text)| match text {
        Value::String(text) => Ok(Entry { id, text }),
        _ => Err(format!(
            "must be an object from ids to the texts of documents, or a manifest of Apollo's; \
             the value of {id} is not a text"
        )),
    });
    entries.collect()
}

fn read_apollo(manifest: Value) -> Result<Vec<Entry>, String> {
    let manifest: ApolloManifest = serde_json::from_value(manifest)
        .map_err(|error| format!("is not a manifest of Apollo's: {error}"))?;
    if manifest.version != APOLLO_VERSION {
        return Err(format!(
            "is a manifest of version {}; only version {APOLLO_VERSION} is known",
            manifest.version
        ));
    }

    let entries = manifest.operations.into_iter();
    Ok(entries
        .map(|ApolloOperation { id, body }| Entry { id, text: body })
        .collect())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use serde_json::json;
    use tempfile::NamedTempFile;

    use super::*;

    const VIEWER: &str = "query Viewer { viewer { id } }";
    const TWO: &str = "query A { viewer { id } } query B { viewer { name } }";

    fn file(manifest: &Value) -> NamedTempFile {
        let mut file = NamedTempFile::new().expect("a temporary file can be created");
        write!(file, "{manifest}").expect("the file can be written");
        file
    }

    fn load(manifests: &[Value]) -> Result<TrustedDocuments, Vec<String>> {
        let files: Vec<NamedTempFile> = manifests.iter().map(file).collect();
        let paths: Vec<PathBuf> = files.iter().map(|file| file.path().to_owned()).collect();
        TrustedDocuments::load(&paths)
    }

    fn apollo(version: u64, id: &str, body: &str) -> Value {
        let operation = json!({ "id": id, "name": "Viewer", "type": "query", "body": body });
        json!({ "format": APOLLO_FORMAT, "version": version, "operations": [operation] })
    }

    #[test]
    fn manifests_of_every_kind_are_read() {
        let both = load(&[
            apollo(1, "one", VIEWER),
            json!({ "two": TWO, "sha256:again": VIEWER }),
        ]);
        let both = both.unwrap_or_else(|faults| panic!("{faults:?}"));

        assert_eq!(both.count(), 3);
        for (id, text) in [("one", VIEWER), ("two", TWO), ("again", VIEWER)] {
            assert_eq!(both.get(id).map(|text| &**text), Some(text), "{id}");
            let hash = hex::encode(Sha256::digest(text));
            assert_eq!(both.get(&hash).map(|text| &**text), Some(text), "{hash}");
        }
        assert!(both.get("three").is_none());
    }

    #[test]
    fn manifests_with_faults_are_refused_and_every_fault_is_told() {
        let faults = load(&[
            json!({ "gone": "{ nothing }", "half": "query A { viewer { id } } query B { x }" }),
            json!({ "same": VIEWER }),
            json!({ "same": TWO }),
            json!({ "list": [] }),
            json!([]),
            apollo(2, "one", VIEWER),
            apollo(1, "empty", ""),
        ]);
        let faults = faults.err().expect("nothing is loaded");

        let expected = [
            "the document gone is not valid",
            "the document half is not valid",
            "the id same belongs to two different documents",
            "the value of list is not a text",
            "is not a JSON object",
            "is a manifest of version 2",
            "the document empty is not valid",
        ];
        assert_eq!(faults.len(), expected.len(), "{faults:#?}");
        for (fault, expected) in faults.iter().zip(expected) {
            assert!(fault.contains(expected), "{fault}");
        }
    }
}
