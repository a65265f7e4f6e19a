//! Tokens of a text (specification, section 2.1), without judging them: whatever is not a token of GraphQL is one here
//! and is left to the parser.

/// Iterator over the tokens of a text.
pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    /// True once a block string was found to have no end.
    is_open: bool,
}

/// Token and the index at which it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    /// Index in the text, in bytes.
    pub(crate) start: usize,
    /// The token as it is written.
    pub(crate) text: &'a str,
}

impl<'a> Lexer<'a> {
    /// Starts at the beginning of a text.
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            is_open: false,
        }
    }

    /// Returns the index at which the token that starts at `start` ends.
    fn end_of_token(&mut self, start: usize) -> usize {
        let rest = &self.text.as_bytes()[start..];
        if !rest.starts_with(b"\"\"\"") {
            return start + length(rest);
        }

        // A search that reached the end of the text is not repeated: each quote would pay for the whole text again. The
        // parser takes the first two quotes for an empty string.
        let found = (!self.is_open).then(|| block_string(rest)).flatten();
        self.is_open = found.is_none();
        start + found.unwrap_or(2)
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let start = next_token(self.text.as_bytes(), self.at)?;
        self.at = self.end_of_token(start);

        let text = &self.text[start..self.at];
        Some(Token { start, text })
    }
}

/// Returns the index at which the next token starts, past white space, commas, byte order marks and comments.
fn next_token(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match bytes.get(at)? {
            b' ' | b'\t' | b'\n' | b'\r' | b',' => at += 1,
            b'#' => {
                at += bytes[at..]
                    .iter()
                    .position(|b| matches!(b, b'\n' | b'\r'))?
            }
            0xef if bytes[at..].starts_with("\u{feff}".as_bytes()) => at += 3,
            _ => return Some(at),
        }
    }
}

/// Returns the length of the token at the start of `rest`, which is not a block string.
fn length(rest: &[u8]) -> usize {
    let run = |accepts: fn(&u8) -> bool| 1 + rest[1..].iter().take_while(|b| accepts(b)).count();

    match rest[0] {
        b'a'..=b'z' | b'A'..=b'Z' | b'_' => run(|b| b.is_ascii_alphanumeric() || *b == b'_'),
        b'0'..=b'9' | b'-' => {
            run(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'+' | b'-'))
        }
        b'.' if rest.starts_with(b"...") => 3,
        b'"' => string(rest),
        0x80.. => run(|b| *b >= 0x80),
        _ => 1,
    }
}

/// Returns the length of the block string at the start of `bytes`; `None` if it never ends.
fn block_string(bytes: &[u8]) -> Option<usize> {
    let mut at = 3;
    while at < bytes.len() {
        // The only escape of a block string: \""" stands for three quotes.
        if bytes[at..].starts_with(b"\\\"\"\"") {
            at += 4;
        } else if bytes[at..].starts_with(b"\"\"\"") {
            return Some(at + 3);
        } else {
            at += 1;
        }
    }

    None
}

/// Returns the length of the string at the start of `bytes`. An unfinished one ends with its line.
fn string(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\n' | b'\r' => return at,
            // Whatever is escaped, a quote above all, does not end the string.
            b'\\' => at += 2,
            _ => at += 1,
        }
    }

    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<&str> {
        Lexer::new(text).map(|token| token.text).collect()
    }

    #[test]
    fn lexer_splits_texts_into_the_tokens_of_graphql() {
        let rows: [(&str, &[&str]); 14] = [
            ("", &[]),
            (" ,\t\r\n\u{feff}", &[]),
            ("# { a } \" no end", &[]),
            ("{a}# x\n b # y\r c", &["{", "a", "}", "b", "c"]),
            (
                "query Q($a:[Int!]!=-1.5e+3)",
                &[
                    "query", "Q", "(", "$", "a", ":", "[", "Int", "!", "]", "!", "=", "-1.5e+3",
                    ")",
                ],
            ),
            ("...F ... on X@d", &["...", "F", "...", "on", "X", "@", "d"]),
            (r#""a # \" } b" c"#, &[r#""a # \" } b""#, "c"]),
            (
                r#""""a " "" \""" { """ c"#,
                &[r#""""a " "" \""" { """"#, "c"],
            ),
            (r#""" c"#, &[r#""""#, "c"]),
            ("\"open\n{", &["\"open", "{"]),
            (r#""""open {"#, &[r#""""#, r#""open {"#]),
            (r#""end\"#, &[r#""end\"#]),
            ("é\u{1f980}x", &["é\u{1f980}", "x"]),
            (". ~", &[".", "~"]),
        ];

        for (text, expected) in rows {
            assert_eq!(tokens(text), expected, "{text}");
        }
    }

    #[test]
    fn lexer_searches_the_end_of_a_block_string_once() {
        let open = "\"\"\"\n\\".repeat(200_000);

        // A search for each of them would take minutes.
        assert_eq!(tokens(&open).len(), 600_000);
    }
}
