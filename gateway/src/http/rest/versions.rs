//! Versions of deals as entity tags: version 7 is `"7"`.

use seller_core::Versions;

use crate::http::conditional::{EntityTag, Preconditions, Tags};

/// Tag of a deal at a version. It is strong: nothing that a deal shows changes without its version.
pub(super) fn tag(version: u32) -> EntityTag {
    EntityTag::strong(version.to_string())
}

/// Versions of a deal at which a change may be made under these preconditions. The write path decides over them together
/// with the append, so that no other change comes in between.
pub(super) fn admitted(preconditions: &Preconditions) -> Versions {
    let excluded = match &preconditions.if_none_match {
        None => Vec::new(),
        // The deal must not exist, and a change needs one.
        Some(Tags::Any) => return Versions::OneOf(Vec::new()),
        Some(Tags::Listed(tags)) => tags.iter().filter_map(version).collect(),
    };

    match &preconditions.if_match {
        Some(Tags::Listed(tags)) => {
            let strong = tags.iter().filter(|tag| !tag.is_weak()).filter_map(version);
            Versions::OneOf(strong.filter(|it| !excluded.contains(it)).collect())
        }
        _ if excluded.is_empty() => Versions::Any,
        _ => Versions::NoneOf(excluded),
    }
}

/// Returns the version that a tag stands for; `None` if it is not one of ours.
fn version(tag: &EntityTag) -> Option<u32> {
    let text = tag.text()?;
    let version: u32 = text.parse().ok()?;

    // "07" is another tag than "7".
    (version.to_string() == text).then_some(version)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderValue, header};

    use super::*;

    #[test]
    fn preconditions_become_the_versions_that_they_admit() {
        let table = [
            (None, None, Versions::Any),
            (Some("*"), None, Versions::Any),
            (
                Some("\"7\", W/\"8\", \"09\", \"x\""),
                None,
                Versions::OneOf(vec![7]),
            ),
            (
                Some("\"7\", \"8\""),
                Some("W/\"8\""),
                Versions::OneOf(vec![7]),
            ),
            (Some("\"x\""), None, Versions::OneOf(vec![])),
            (None, Some("*"), Versions::OneOf(vec![])),
            (
                Some("*"),
                Some("W/\"8\", \"9\""),
                Versions::NoneOf(vec![8, 9]),
            ),
            (None, Some("\"x\""), Versions::Any),
        ];

        for (if_match, if_none_match, versions) in table {
            let mut headers = HeaderMap::new();
            let mut set = |name, value: Option<&'static str>| {
                value.map(|value| headers.insert(name, HeaderValue::from_static(value)))
            };
            set(header::IF_MATCH, if_match);
            set(header::IF_NONE_MATCH, if_none_match);

            let preconditions = Preconditions::read(&headers).expect("well-formed");
            assert_eq!(admitted(&preconditions), versions, "{headers:?}");
        }
    }
}
