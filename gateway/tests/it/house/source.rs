//! Rust sources as the house rules read them: code, comments and functions, without the help of a compiler.
//!
//! Functions are found by their indentation, which rustfmt guarantees.

use std::fs;
use std::path::Path;

use super::scan::{Comment, Kind, scan};

/// One Rust file, up to its tests.
pub(super) struct Source {
    /// Path from the workspace root.
    pub(super) path: String,
    /// Text as it is written, up to the module of tests.
    pub(super) text: String,
    /// Text with every comment and literal replaced by spaces, line by line as long as the original.
    pub(super) code: String,
    pub(super) comments: Vec<Comment>,
}

/// A function with a body of at least one line.
pub(super) struct Function {
    pub(super) name: String,
    /// Number of its first line, from 1.
    pub(super) line: usize,
    /// Number of lines from the signature to the closing brace.
    pub(super) lines: usize,
    /// Number of lines between the braces.
    pub(super) body: usize,
    /// Number of blank lines between the braces.
    pub(super) blank: usize,
}

impl Source {
    pub(super) fn new(path: &str, text: &str) -> Self {
        let text = without_tests(text);
        let (code, comments) = scan(text);

        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
            comments,
        }
    }

    pub(super) fn lines(&self) -> usize {
        self.text.lines().count()
    }

    /// Number of lines that hold a comment other than documentation.
    pub(super) fn inline_comments(&self) -> usize {
        let inline = self
            .comments
            .iter()
            .filter(|comment| comment.kind == Kind::Inline);
        inline.count()
    }

    /// First line of every documentation comment, with its number.
    pub(super) fn docs(&self) -> Vec<(usize, &str)> {
        let mut before = None;
        let mut docs = Vec::new();
        for comment in self
            .comments
            .iter()
            .filter(|comment| comment.kind != Kind::Inline)
        {
            if before != Some((comment.line - 1, comment.kind)) {
                docs.push((comment.line, comment.text.as_str()));
            }
            before = Some((comment.line, comment.kind));
        }
        docs
    }

    pub(super) fn functions(&self) -> Vec<Function> {
        let code: Vec<&str> = self.code.lines().collect();
        let text: Vec<&str> = self.text.lines().collect();
        let found = code.iter().enumerate().filter_map(|(first, line)| {
            let name = function_name(line)?;
            let (open, close) = body(&code, first)?;
            let inside = &text[open + 1..close];

            Some(Function {
                name: name.to_owned(),
                line: first + 1,
                lines: close - first + 1,
                body: inside.len(),
                blank: inside.iter().filter(|line| line.trim().is_empty()).count(),
            })
        });
        found.collect()
    }

    /// Numbers of the lines with `let (a, b) = (x, y);`, which hides two bindings in one.
    pub(super) fn tuple_lets(&self) -> Vec<usize> {
        let starts = self.code.match_indices("let (");
        let packed = starts.filter(|(at, _)| {
            let line = &self.code[self.code[..*at].rfind('\n').map_or(0, |end| end + 1)..*at];
            line.trim().is_empty() && is_tuple_let(&self.code[at + "let ".len()..])
        });
        packed
            .map(|(at, _)| self.code[..at].matches('\n').count() + 1)
            .collect()
    }
}

/// Every Rust file under a folder, sorted by path.
pub(super) fn files(root: &Path, folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(root.join(folder)) else {
        return found;
    };

    for entry in entries {
        let name = entry.expect("a folder can be read").file_name();
        let path = format!("{folder}/{}", name.to_str().expect("file names are UTF-8"));
        if root.join(&path).is_dir() {
            found.extend(files(root, &path));
        } else if path.ends_with(".rs") {
            let text = fs::read_to_string(root.join(&path)).expect("a source file can be read");
            found.push((path, text));
        }
    }

    found.sort();
    found
}

/// Cuts off the module of unit tests, which closes a file.
fn without_tests(text: &str) -> &str {
    let tests = text.match_indices("#[cfg(test)]\n").find(|(at, mark)| {
        // Tests in a file of their own are declared anywhere, and do not end this one.
        let next = text[at + mark.len()..].trim_start().lines().next();
        next.is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
    });
    tests.map_or(text, |(at, _)| &text[..at])
}

/// Name of the function whose signature begins on this line.
fn function_name(line: &str) -> Option<&str> {
    let mut words = line.split_whitespace().skip_while(|word| {
        ["pub", "const", "async", "unsafe", "extern"].contains(word) || word.starts_with("pub(")
    });
    let name = words
        .next()
        .filter(|word| *word == "fn")
        .and(words.next())?;
    name.split(['(', '<']).next()
}

/// Lines of the opening and of the closing brace; none for a declaration, or for a function of one line.
fn body(code: &[&str], first: usize) -> Option<(usize, usize)> {
    let indent = indentation(code[first]);
    let mut level = (first..code.len()).filter(|&at| indentation(code[at]) == indent);

    let open = level.find(|&at| code[at].trim_end().ends_with(['{', ';', '}']))?;
    if !code[open].trim_end().ends_with('{') {
        return None;
    }
    let close = level.find(|&at| code[at].trim_start().starts_with('}'))?;
    Some((open, close))
}

/// Number of leading spaces; none for a blank line.
fn indentation(line: &str) -> Option<usize> {
    line.find(|c: char| c != ' ')
}

/// Whether code that begins with the pattern of a `let` binds one tuple literal to it.
fn is_tuple_let(code: &str) -> bool {
    let Some((_, rest)) = parenthesised(code) else {
        return false;
    };
    let Some((kind, value)) = rest.split_once('=') else {
        return false;
    };
    if !kind.trim().is_empty() && !kind.starts_with(':') {
        return false;
    }
    let Some((inside, rest)) = parenthesised(value.trim_start()) else {
        return false;
    };

    rest.trim_start().starts_with(';') && has_top_level_comma(inside)
}

/// Splits code that begins with a parenthesis into what stands between it and its partner, and the rest.
fn parenthesised(code: &str) -> Option<(&str, &str)> {
    code.strip_prefix('(')?;
    let mut depth = 0;
    for (at, c) in code.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((&code[1..at], &code[at + 1..]));
        }
    }
    None
}

fn has_top_level_comma(code: &str) -> bool {
    let mut depth = 0;
    code.chars().any(|c| {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    })
}
