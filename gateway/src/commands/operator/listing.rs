//! Form in which a key is listed.

/// A key to be listed, with its times as texts.
pub(super) struct ListedKey<'a> {
    pub(super) id: &'a str,
    pub(super) label: Option<&'a str>,
    pub(super) created: &'a str,
    pub(super) used: Option<&'a str>,
    pub(super) ends: Option<&'a str>,
    pub(super) revoked: Option<&'a str>,
}

/// Returns the line of a key: its id, what is known of it, and its label at the end, since that may have spaces.
pub(super) fn listed_key(key: ListedKey<'_>) -> String {
    let facts = [
        ("created", Some(key.created)),
        ("used", key.used),
        ("ends", key.ends),
        ("revoked", key.revoked),
        ("label", key.label),
    ];
    let facts = facts
        .iter()
        .filter_map(|(name, value)| value.map(|value| format!(" {name} {value}")));

    key.id.to_owned() + &facts.collect::<String>()
}
