//! Grammar of executable documents (specification, section 2), checked to the letter.
//!
//! The library's parser repairs what it does not understand: it leaves out an argument or a field of an input object
//! that has no colon, and goes on. The mutation that is left does something else than its author wrote. So nothing gets
//! there that the grammar does not allow. What a token may look like inside, as escapes and digits, is left to the
//! library, which is strict there.

use crate::error::{DocumentError, ErrorKind, Location};
use crate::lexer::{Lexer, Token};

/// Checks that a text is an executable document.
///
/// # Errors
/// [`ErrorKind::ParseFailed`], with the first token that may not stand where it stands.
pub(super) fn check(text: &str) -> Result<(), DocumentError> {
    let mut grammar = Grammar::new(text);

    loop {
        grammar.definition()?;
        if grammar.token.is_none() {
            return Ok(());
        }
    }
}

struct Grammar<'a> {
    text: &'a str,
    lexer: Lexer<'a>,
    /// The token that is looked at; `None` at the end of the text.
    token: Option<Token<'a>>,
}

type Checked = Result<(), DocumentError>;

/// Kind of a place for values: constant ones, or also variables.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Values {
    Constant,
    WithVariables,
}

// Recursion is bounded: whatever nests does so in brackets, whose depth the limits have checked.
impl<'a> Grammar<'a> {
    fn new(text: &'a str) -> Self {
        let mut lexer = Lexer::new(text);
        let token = lexer.next();
        Self { text, lexer, token }
    }

    fn definition(&mut self) -> Checked {
        if self.is("{") {
            return self.selection_set();
        }

        // A description, which the shorthand of a query cannot have.
        if self.is_string() {
            self.advance();
        }

        match self.word() {
            "query" | "mutation" | "subscription" => {
                self.advance();
                if self.is_name() {
                    self.advance();
                }
                if self.is("(") {
                    self.variables()?;
                }
            }
            "fragment" => {
                self.advance();
                if self.is("on") {
                    return self.unexpected("the name of a fragment");
                }
                self.name()?;
                self.expect("on")?;
                self.name()?;
            }
            _ => return self.unexpected("an operation or a fragment"),
        }

        self.directives(Values::WithVariables)?;
        self.selection_set()
    }

    fn variables(&mut self) -> Checked {
        self.some("(", ")", |grammar| {
            if grammar.is_string() {
                grammar.advance();
            }
            grammar.expect("$")?;
            grammar.name()?;
            grammar.expect(":")?;
            grammar.type_reference()?;

            if grammar.is("=") {
                grammar.advance();
                grammar.value(Values::Constant)?;
            }
            grammar.directives(Values::Constant)
        })
    }

    fn type_reference(&mut self) -> Checked {
        if self.is("[") {
            self.advance();
            self.type_reference()?;
            self.expect("]")?;
        } else {
            self.name()?;
        }

        if self.is("!") {
            self.advance();
        }
        Ok(())
    }

    fn selection_set(&mut self) -> Checked {
        self.some("{", "}", Self::selection)
    }

    fn selection(&mut self) -> Checked {
        if self.is("...") {
            self.advance();
            return self.fragment();
        }

        self.name()?;
        if self.is(":") {
            self.advance();
            self.name()?;
        }
        if self.is("(") {
            self.arguments(Values::WithVariables)?;
        }
        self.directives(Values::WithVariables)?;

        if self.is("{") {
            return self.selection_set();
        }
        Ok(())
    }

    /// Checks a fragment spread or an inline fragment after its dots.
    fn fragment(&mut self) -> Checked {
        if self.is_name() && !self.is("on") {
            self.advance();
            return self.directives(Values::WithVariables);
        }

        if self.is("on") {
            self.advance();
            self.name()?;
        }
        self.directives(Values::WithVariables)?;
        self.selection_set()
    }

    fn directives(&mut self, values: Values) -> Checked {
        while self.is("@") {
            self.advance();
            self.name()?;
            if self.is("(") {
                self.arguments(values)?;
            }
        }

        Ok(())
    }

    fn arguments(&mut self, values: Values) -> Checked {
        self.some("(", ")", |grammar| grammar.named_value(values))
    }

    fn named_value(&mut self, values: Values) -> Checked {
        self.name()?;
        self.expect(":")?;
        self.value(values)
    }

    fn value(&mut self, values: Values) -> Checked {
        match self.word() {
            "$" if values == Values::WithVariables => {
                self.advance();
                self.name()
            }
            "[" => self.any("]", |grammar| grammar.value(values)),
            "{" => self.any("}", |grammar| grammar.named_value(values)),
            _ if self.is_name() || self.is_string() || self.is_number() => {
                self.advance();
                Ok(())
            }
            _ if values == Values::Constant => self.unexpected("a value without variables"),
            _ => self.unexpected("a value"),
        }
    }

    /// Checks an opening bracket, at least one item, and the closing bracket.
    fn some(&mut self, open: &str, close: &str, item: impl Fn(&mut Self) -> Checked) -> Checked {
        self.expect(open)?;

        loop {
            item(self)?;
            if self.is(close) {
                self.advance();
                return Ok(());
            }
        }
    }

    /// Skips the opening bracket, and checks items up to the closing one.
    fn any(&mut self, close: &str, item: impl Fn(&mut Self) -> Checked) -> Checked {
        self.advance();

        while !self.is(close) {
            item(self)?;
        }
        self.advance();
        Ok(())
    }

    fn name(&mut self) -> Checked {
        if !self.is_name() {
            return self.unexpected("a name");
        }

        self.advance();
        Ok(())
    }

    fn expect(&mut self, token: &str) -> Checked {
        if !self.is(token) {
            return self.unexpected(&format!("\"{token}\""));
        }

        self.advance();
        Ok(())
    }

    fn advance(&mut self) {
        self.token = self.lexer.next();
    }

    /// Returns the token as it is written; nothing at the end of the text.
    fn word(&self) -> &'a str {
        self.token.map_or("", |token| token.text)
    }

    fn is(&self, token: &str) -> bool {
        self.word() == token
    }

    fn is_name(&self) -> bool {
        self.word()
            .starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
    }

    fn is_string(&self) -> bool {
        self.word().starts_with('"')
    }

    fn is_number(&self) -> bool {
        self.word()
            .starts_with(|first: char| first.is_ascii_digit() || first == '-')
    }

    fn unexpected(&self, expected: &str) -> Checked {
        /// Characters of a token that a message shows.
        const SHOWN: usize = 20;

        let found = match self.word() {
            "" => "the end of the document".to_owned(),
            word if self.is_string() => word.chars().take(SHOWN).collect(),
            word => format!("\"{}\"", word.chars().take(SHOWN).collect::<String>()),
        };
        let at = self.token.map_or(self.text.len(), |token| token.start);

        Err(DocumentError {
            kind: ErrorKind::ParseFailed,
            message: format!("Syntax error: expected {expected}, found {found}"),
            locations: vec![Location::in_text(self.text, at)],
            violations: Vec::new(),
            more: 0,
        })
    }
}
