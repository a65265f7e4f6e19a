//! Text of a migration that cannot run in a transaction, such as one that builds an index beside
//! running writers.

/// Splits a text into its statements, each of which ends with a semicolon at the end of a line.
pub(super) fn split(sql: &str) -> Vec<&str> {
    let has_code = |text: &&str| {
        let mut lines = text.lines().map(str::trim);
        lines.any(|line| !line.is_empty() && !line.starts_with("--"))
    };

    sql.split_inclusive(";\n")
        .map(str::trim)
        .filter(has_code)
        .collect()
}

/// Returns whether a statement works beside writers. It may wait for old transactions to end, and
/// nobody waits for it meanwhile.
pub(super) fn is_concurrent(statement: &str) -> bool {
    words(statement).any(|word| word.eq_ignore_ascii_case("concurrently"))
}

/// Returns whether a statement names this index.
pub(super) fn names(statement: &str, index: &str) -> bool {
    words(statement).any(|word| word == index)
}

fn words(statement: &str) -> impl Iterator<Item = &str> {
    let code = statement
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"));

    code.flat_map(|line| line.split(|c: char| !c.is_alphanumeric() && c != '_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_end_with_a_semicolon_at_the_end_of_a_line() {
        let sql = "-- no-transaction\n-- Two; of them.\nCREATE INDEX CONCURRENTLY IF NOT EXISTS a_by_b\n    \
                   ON a (b);\n\n-- concurrently c_by_d\nALTER TABLE a SET (fillfactor = 90);\n-- The end.\n";
        let found = split(sql);

        assert_eq!(found.len(), 2, "{found:?}");
        assert!(is_concurrent(found[0]) && names(found[0], "a_by_b"));
        assert!(!names(found[0], "a_by"));
        assert!(!is_concurrent(found[1]) && !names(found[1], "c_by_d"));
        assert_eq!(split("SELECT 1;"), ["SELECT 1;"]);
    }
}
