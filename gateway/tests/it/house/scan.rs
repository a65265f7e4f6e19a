//! Separation of Rust code from its comments and literals.

/// One line of a `//` comment.
pub(super) struct Comment {
    /// Number of the line, from 1.
    pub(super) line: usize,
    pub(super) kind: Kind,
    /// Text after the slashes.
    pub(super) text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `//`, for those who read the code.
    Inline,
    /// `//!`, documentation of what it stands in.
    Inner,
    /// `///`, documentation of what follows.
    Outer,
}

/// Returns the code with comments and literals blanked, byte for byte as long as the text, and the `//` comments.
pub(super) fn scan(text: &str) -> (String, Vec<Comment>) {
    let mut code = String::with_capacity(text.len());
    let mut comments = Vec::new();
    let mut rest = text;

    while !rest.is_empty() {
        let length = token(rest);
        if rest.starts_with("//") {
            comments.push(comment(&rest[..length], code.matches('\n').count() + 1));
        }
        if is_blanked(rest, length) {
            blank(&mut code, &rest[..length]);
        } else {
            code.push_str(&rest[..length]);
        }
        rest = &rest[length..];
    }

    (code, comments)
}

fn comment(text: &str, line: usize) -> Comment {
    let kind = if text.starts_with("//!") {
        Kind::Inner
    } else if text.starts_with("///") && !text.starts_with("////") {
        Kind::Outer
    } else {
        Kind::Inline
    };

    let text = text.trim_start_matches(['/', '!']).trim();
    Comment {
        line,
        kind,
        text: text.to_owned(),
    }
}

/// Writes as many spaces as the literal has bytes, and its line breaks.
fn blank(code: &mut String, literal: &str) {
    for byte in literal.bytes() {
        code.push(if byte == b'\n' { '\n' } else { ' ' });
    }
}

fn is_blanked(rest: &str, length: usize) -> bool {
    let comment = rest.starts_with("//") || rest.starts_with("/*");
    comment || (length > 1 && rest[..length].ends_with(['"', '\'', '#']))
}

/// Length in bytes of the comment, literal, word or single character that the text begins with.
fn token(rest: &str) -> usize {
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return block_comment(rest);
    }
    if let Some(length) = raw_string(rest) {
        return length;
    }
    if let Some(quoted) = rest.strip_prefix('"') {
        return 1 + string(quoted);
    }
    if rest.starts_with('\'') {
        return character(rest);
    }

    // A word is taken whole: in `for"`, the r begins no raw string.
    let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
    match word {
        Some(0) => rest.chars().next().map_or(1, char::len_utf8),
        Some(length) => length,
        None => rest.len(),
    }
}

fn block_comment(rest: &str) -> usize {
    let mut depth = 0;
    for (at, _) in rest.char_indices() {
        if rest[at..].starts_with("/*") {
            depth += 1;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
        }
        if depth == 0 {
            return at + 2;
        }
    }
    rest.len()
}

/// Length of `r"…"`, `r#"…"#`, `br"…"` and the like.
fn raw_string(rest: &str) -> Option<usize> {
    let after = rest
        .strip_prefix("br")
        .or_else(|| rest.strip_prefix("cr"))
        .or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let content = after[hashes..].strip_prefix('"')?;

    let end = format!("\"{}", "#".repeat(hashes));
    let length = content.find(&end)? + end.len();
    Some(rest.len() - content.len() + length)
}

/// Length of a string's content with its closing quote.
fn string(content: &str) -> usize {
    let mut escaped = false;
    for (at, c) in content.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    content.len()
}

/// Length of a character literal; 1 for the quote of a lifetime.
fn character(rest: &str) -> usize {
    if rest[1..].starts_with('\\') {
        return rest[3..].find('\'').map_or(rest.len(), |end| end + 4);
    }
    let mut chars = rest[1..].char_indices();
    match (chars.next(), chars.next()) {
        (Some(_), Some((end, '\''))) => end + 2,
        _ => 1,
    }
}
