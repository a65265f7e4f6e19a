//! Paths in Rust code from which comments and literals are blanked: what it imports, mentions and declares.

use std::collections::BTreeSet;

/// One name that a `use` declaration brings into its module.
pub(super) struct Import {
    /// Number of the line on which the declaration begins, from 1.
    pub(super) line: usize,
    /// Whether others may import the name from this module.
    pub(super) public: bool,
    /// Path to what is imported; for a `*`, to the module that it stands for.
    pub(super) path: Vec<String>,
    /// Name in this module, or `*`.
    pub(super) name: String,
}

/// Imports of the declarations that are not for tests alone.
pub(super) fn imports(code: &str) -> Vec<Import> {
    let mut imports = Vec::new();
    for (line, public, tree) in declarations(code) {
        for (path, name) in expand(&[], tree) {
            imports.push(Import {
                line,
                public,
                path,
                name,
            });
        }
    }
    imports
}

/// Paths of at least two names outside of `use` declarations, each with its line.
pub(super) fn mentions(code: &str) -> Vec<(usize, Vec<String>)> {
    let mut code = code.to_owned();
    for (start, end) in spans(&code) {
        let blanked: String = code[start..end]
            .chars()
            .map(|c| if c == '\n' { '\n' } else { ' ' })
            .collect();
        code.replace_range(start..end, &blanked);
    }

    let mut found = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let path_char = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        for text in line.split(|c| !path_char(c)) {
            let path = text.trim_end_matches(':').split("::");
            let path: Vec<String> = path.map(str::to_owned).collect();
            if path.len() > 1 && !path[0].is_empty() {
                found.push((number + 1, path));
            }
        }
    }
    found
}

/// Names of what a module declares; those of macros end with `!`.
pub(super) fn declared(code: &str) -> BTreeSet<String> {
    let keywords = [
        "struct", "enum", "union", "trait", "type", "const", "static", "fn",
    ];
    let mut words = code
        .split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '!'))
        .filter(|word| !word.is_empty());

    let mut names = BTreeSet::new();
    while let Some(word) = words.next() {
        if word == "macro_rules!" {
            names.extend(words.next().map(|name| format!("{name}!")));
        } else if keywords.contains(&word) {
            names.extend(words.next().map(str::to_owned));
        }
    }
    names
}

/// Line, visibility and tree of every `use` declaration.
fn declarations(code: &str) -> Vec<(usize, bool, &str)> {
    let mut found = Vec::new();
    for (start, end) in spans(code) {
        let (before, tree) = code[start..end]
            .split_once("use ")
            .expect("a declaration is found by this word");
        let line = code[..start].matches('\n').count() + 1;
        let for_tests = code[..start].trim_end().ends_with("#[cfg(test)]");

        if !for_tests {
            found.push((line, before.starts_with("pub"), tree.trim_end_matches(';')));
        }
    }
    found
}

/// Start and end of every `use` declaration, with its visibility and its semicolon.
fn spans(code: &str) -> Vec<(usize, usize)> {
    let mut spans = Vec::new();
    let mut start = 0;
    for line in code.split_inclusive('\n') {
        let text = line.trim_start();
        let word = text.strip_prefix("pub ").or_else(|| {
            let (_, rest) = text.strip_prefix("pub(")?.split_once(')')?;
            Some(rest.trim_start())
        });
        if word.unwrap_or(text).starts_with("use ") {
            let begin = start + line.len() - text.len();
            let length = code[begin..].find(';').map_or(line.len(), |end| end + 1);
            spans.push((begin, begin + length));
        }
        start += line.len();
    }
    spans
}

/// Every path of a `use` tree with the name it is imported by.
fn expand(prefix: &[String], tree: &str) -> Vec<(Vec<String>, String)> {
    let tree = tree.trim().trim_start_matches("::");
    if let Some((head, list)) = tree.split_once('{') {
        let mut prefix = prefix.to_vec();
        let head = head.trim().split("::").filter(|name| !name.is_empty());
        prefix.extend(head.map(|name| name.trim().to_owned()));
        let list = list.trim_end().strip_suffix('}').unwrap_or(list);
        return branches(list)
            .into_iter()
            .flat_map(|branch| expand(&prefix, branch))
            .collect();
    }
    if tree.is_empty() {
        return Vec::new();
    }

    let (path, alias) = match tree.split_once(" as ") {
        Some((path, alias)) => (path, Some(alias.trim().to_owned())),
        None => (tree, None),
    };
    let mut full = prefix.to_vec();
    full.extend(path.trim().split("::").map(|name| name.trim().to_owned()));

    // `{self, …}` names the module itself, and `*` everything in it.
    let last = full.last().cloned().unwrap_or_default();
    if (last == "self" && full.len() > 1) || last == "*" {
        full.pop();
    }
    let own = if last == "*" {
        Some(last)
    } else {
        full.last().cloned()
    };
    let name = alias.or(own).unwrap_or_default();
    vec![(full, name)]
}

/// Splits the inside of braces at the commas that stand in no inner braces.
fn branches(list: &str) -> Vec<&str> {
    let mut depth = 0;
    list.split(|c| {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
    .collect()
}
