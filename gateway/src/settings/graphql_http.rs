//! Settings of GraphQL over HTTP, and of documents that requests name.

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;
use clap::value_parser;

use super::config::{DocumentFiles, GraphqlHttp};
use crate::graphql::PersistedRules;

/// Flags of GraphQL over HTTP, as given.
#[derive(Args, Clone, Debug)]
pub(super) struct GraphqlHttpSettings {
    /// Manifest of trusted documents, which requests may name by id; may be given several times
    ///
    /// The manifests that Apollo's generate-persisted-query-manifest, relay-compiler and the client preset of
    /// graphql-codegen write are read as they are. A document that does not fit the schema is an error at the start.
    #[arg(
        long,
        env = "DEALWIRE_TRUSTED_DOCUMENTS",
        value_name = "FILE",
        value_delimiter = ',',
        global = true
    )]
    trusted_documents: Vec<PathBuf>,

    /// Execute trusted documents only
    ///
    /// Any other request is answered with PERSISTED_QUERY_REQUIRED, on websockets as well. Administrators may execute
    /// any document; without an administrator's key GraphiQL does not work. REST is not affected.
    #[arg(
        long,
        env = "DEALWIRE_TRUSTED_DOCUMENTS_ONLY",
        value_parser = FalseyValueParser::new(),
        global = true
    )]
    trusted_documents_only: bool,

    /// Bytes of memory for automatic persisted queries (APQ), up to 1073741824 (1 GiB); 0 turns them off
    ///
    /// Documents that clients send with their hash, so that they need to send only the hash the next time. A document
    /// counts as at least 1024 bytes. Those that were not used for the longest time are dropped first.
    #[arg(
        long,
        env = "DEALWIRE_APQ_BYTES",
        default_value_t = PersistedRules::default().apq_bytes,
        value_name = "BYTES",
        value_parser = value_parser!(u64).range(0..=1 << 30),
        global = true
    )]
    apq_bytes: u64,

    /// Answer with the status codes that GraphQL over HTTP asks for since April 2026
    ///
    /// 422 instead of 400 for documents and variables that are not valid, and 294 for data with errors, also for clients
    /// of application/json, who get 200 otherwise. Without it, the status codes are those that the audits of the npm
    /// package graphql-http want.
    #[arg(
        long = "graphql-http-2026",
        env = "DEALWIRE_GRAPHQL_HTTP_2026",
        value_parser = FalseyValueParser::new(),
        global = true
    )]
    status_codes_2026: bool,

    /// Do not compress responses of the GraphQL endpoint
    ///
    /// Otherwise those of 1024 bytes or more are compressed for clients that accept zstd, br or gzip. Turn it off if a
    /// proxy in front compresses.
    #[arg(
        long,
        env = "DEALWIRE_NO_HTTP_COMPRESSION",
        value_parser = FalseyValueParser::new(),
        global = true
    )]
    no_http_compression: bool,
}

impl GraphqlHttpSettings {
    /// Returns the settings of the protocol.
    pub(super) fn http(&self) -> GraphqlHttp {
        GraphqlHttp {
            status_codes_2026: self.status_codes_2026,
            compression: !self.no_http_compression,
        }
    }

    /// Returns the rules for documents that requests name. Flags that make no sense without others are added to `faults`.
    pub(super) fn documents(&self, faults: &mut Vec<String>) -> DocumentFiles {
        // Templates of deployments set unused variables to an empty text, so that counts as absent.
        let files = self.trusted_documents.iter();
        let files: Vec<PathBuf> = files
            .filter(|file| !file.as_os_str().is_empty())
            .cloned()
            .collect();
        if self.trusted_documents_only && files.is_empty() {
            faults.push("--trusted-documents-only requires --trusted-documents".to_owned());
        }

        DocumentFiles {
            trusted: files,
            rules: PersistedRules {
                apq_bytes: self.apq_bytes,
                trusted_only: self.trusted_documents_only,
            },
        }
    }
}
