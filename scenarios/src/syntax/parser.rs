//! From tokens to a tree. After a mistake it goes on behind the next comma or bracket, so that one reading
//! finds several.

use crate::diagnose::{Diagnostic, Place, Sink};

use super::lexer::{Lexer, Token};
use super::node::{Field, Kind, Name, Node};

/// Brackets within brackets.
pub const NESTING_LIMIT: u32 = 64;

/// Values in one text; bounds the memory that a hostile file can claim.
pub const MOST_VALUES: u32 = 1_000_000;

/// Reads one value that takes up the text from byte `at` to its end. `index` is the text's [`Place::text`].
/// Mistakes go to `sink`; `None` if there was any.
pub fn parse(text: &str, index: u16, at: usize, sink: &mut Sink) -> Option<Node> {
    let mut lexer = Lexer::new(text, index, at);
    let current = lexer.next();
    let mut parser = Parser {
        lexer,
        current,
        ahead: None,
        sink,
        values: 0,
        clean: true,
        after_number: false,
    };
    parser.report_lexer();
    let node = parser.value(0);
    if node.is_ok() && parser.current.0 != Token::End {
        let message = format!(
            "nothing may follow the value; found {}",
            parser.current.0.describe()
        );
        parser.report(parser.current.1, &message);
    }
    let clean = parser.clean;
    node.ok().filter(|_| clean)
}

struct Parser<'a, 's> {
    lexer: Lexer<'a>,
    current: (Token, Place),
    ahead: Option<(Token, Place)>,
    sink: &'s mut Sink,
    values: u32,
    /// Nothing wrong so far.
    clean: bool,
    /// The value read last is a number, so a word behind it may be its unit.
    after_number: bool,
}

/// A mistake that has been reported.
enum Failed {
    /// The rest of the enclosing list can still be read.
    Item,
    /// Nothing more can be read.
    Text,
}

impl Parser<'_, '_> {
    fn report(&mut self, place: Place, message: &str) {
        self.report_with_help(place, message, None);
    }

    fn report_with_help(&mut self, place: Place, message: &str, help: Option<&str>) {
        self.clean = false;
        let diagnostic = Diagnostic::error(place, "", message);
        self.sink.push(match help {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        });
    }

    fn report_lexer(&mut self) {
        for error in self.lexer.take_errors() {
            self.clean = false;
            self.sink.push(error);
        }
    }

    fn advance(&mut self) -> (Token, Place) {
        let next = self.ahead.take().unwrap_or_else(|| self.lexer.next());
        self.report_lexer();
        std::mem::replace(&mut self.current, next)
    }

    fn peek(&mut self) -> &Token {
        if self.ahead.is_none() {
            self.ahead = Some(self.lexer.next());
            self.report_lexer();
        }
        &self.ahead.as_ref().expect("just filled").0
    }

    fn value(&mut self, depth: u32) -> Result<Node, Failed> {
        self.values += 1;
        if self.values > MOST_VALUES {
            self.report(self.current.1, &format!("more than {MOST_VALUES} values"));
            return Err(Failed::Text);
        }
        if depth > NESTING_LIMIT {
            let message = format!("more than {NESTING_LIMIT} brackets within each other");
            self.report(self.current.1, &message);
            return Err(Failed::Text);
        }
        let place = self.current.1;
        let kind = match &self.current.0 {
            Token::Open => return self.brackets(None, place, depth),
            Token::OpenList => return self.list(depth),
            Token::Word(_) => return self.word(depth),
            Token::Number(number) => Kind::Number(number.clone()),
            Token::Text(text) => Kind::Text(text.clone()),
            // Already reported where it was read.
            Token::Bad => return Err(Failed::Item),
            Token::End => {
                // An unclosed string or comment has swallowed what was here, and has been reported.
                if self.clean {
                    self.report(place, "a value is expected, found the end of the text");
                }
                return Err(Failed::Text);
            }
            other => {
                let message = format!("a value is expected, found {}", other.describe());
                self.report(place, &message);
                return Err(Failed::Item);
            }
        };
        self.after_number = matches!(kind, Kind::Number(_));
        self.advance();
        Ok(Node { kind, place })
    }

    fn word(&mut self, depth: u32) -> Result<Node, Failed> {
        let (Token::Word(text), place) = self.advance() else {
            unreachable!("called at a word")
        };
        let kind = match text.as_str() {
            "true" => Kind::Bool(true),
            "false" => Kind::Bool(false),
            _ if self.current.0 == Token::Open => {
                return self.brackets(Some(Name { text, place }), place, depth);
            }
            _ => Kind::Word(text),
        };
        Ok(Node { kind, place })
    }

    fn list(&mut self, depth: u32) -> Result<Node, Failed> {
        let (_, open) = self.advance();
        let mut items = Vec::new();
        let close = self.sequence(open, &Token::CloseList, |parser| {
            items.push(parser.value(depth + 1)?);
            Ok(())
        })?;
        Ok(Node {
            kind: Kind::List(items),
            place: open.to(close),
        })
    }

    /// `(…)`, with the name that stood before it.
    fn brackets(&mut self, name: Option<Name>, start: Place, depth: u32) -> Result<Node, Failed> {
        let (_, open) = self.advance();
        // A word before another value is a field without its colon; a word before a bracket is a variant.
        let named = matches!(self.current.0, Token::Word(_))
            && matches!(
                self.peek(),
                Token::Colon | Token::Text(_) | Token::Number(_) | Token::Word(_) | Token::OpenList
            );
        if !named {
            let mut items = Vec::new();
            let close = self.sequence(open, &Token::Close, |parser| {
                items.push(parser.value(depth + 1)?);
                Ok(())
            })?;
            return Ok(Node {
                kind: Kind::Tuple(name, items),
                place: start.to(close),
            });
        }
        let mut fields = Vec::new();
        let close = self.sequence(open, &Token::Close, |parser| {
            fields.push(parser.field(depth + 1)?);
            Ok(())
        })?;
        Ok(Node {
            kind: Kind::Struct(name, fields),
            place: start.to(close),
        })
    }

    fn field(&mut self, depth: u32) -> Result<Field, Failed> {
        let (token, place) = &self.current;
        let place = *place;
        let text = match token {
            Token::Word(text) => text.clone(),
            Token::Bad => return Err(Failed::Item),
            other => {
                let message = format!("the name of a field is expected, found {}", other.describe());
                self.report(place, &message);
                return Err(Failed::Item);
            }
        };
        self.advance();
        if self.current.0 != Token::Colon {
            if self.current.0 != Token::Bad {
                let message = format!(
                    "`:` is expected after `{text}`, found {}",
                    self.current.0.describe()
                );
                self.report(self.current.1, &message);
            }
            return Err(Failed::Item);
        }
        self.advance();
        Ok(Field {
            name: Name { text, place },
            value: self.value(depth)?,
        })
    }

    /// Items up to `closer`, of which `open` is the opening bracket. Returns where the closing one stands.
    fn sequence(
        &mut self,
        open: Place,
        closer: &Token,
        mut item: impl FnMut(&mut Self) -> Result<(), Failed>,
    ) -> Result<Place, Failed> {
        loop {
            if self.current.0 == *closer {
                return Ok(self.advance().1);
            }
            match self.current.0 {
                Token::End => {
                    if self.clean {
                        self.report(open, "this bracket is never closed");
                    }
                    return Err(Failed::Text);
                }
                Token::Close | Token::CloseList => {
                    let (found, place) = self.advance();
                    self.wrong_closer(open, closer, &found, place);
                    return Ok(place);
                }
                _ => {}
            }
            self.after_number = false;
            match item(self) {
                Ok(()) => {}
                Err(Failed::Item) => self.skip_item(),
                Err(Failed::Text) => return Err(Failed::Text),
            }
            if self.sink.is_full() {
                return Err(Failed::Text);
            }
            match &self.current.0 {
                Token::Comma => {
                    self.advance();
                }
                Token::Close | Token::CloseList | Token::End => {}
                found => {
                    if *found != Token::Bad {
                        let message = format!(
                            "`,` or {} is expected, found {}",
                            closer.describe(),
                            found.describe()
                        );
                        let quantity = self.after_number && matches!(found, Token::Word(_));
                        let help =
                            quantity.then_some("a quantity is a string with its unit, such as \"80 ms\"");
                        self.report_with_help(self.current.1, &message, help);
                    }
                    self.skip_item();
                    if self.current.0 == Token::Comma {
                        self.advance();
                    }
                }
            }
        }
    }

    fn wrong_closer(&mut self, open: Place, closer: &Token, found: &Token, place: Place) {
        self.clean = false;
        let message = format!("{} is expected, found {}", closer.describe(), found.describe());
        self.sink
            .push(Diagnostic::error(place, "", message).related(open, "to close this bracket"));
    }

    /// Goes to the comma or bracket that ends the item.
    fn skip_item(&mut self) {
        let mut depth = 0u32;
        // Once mistakes are only counted there is no point in finding more.
        while !self.sink.is_full() {
            match self.current.0 {
                Token::Open | Token::OpenList => depth += 1,
                Token::Close | Token::CloseList if depth == 0 => return,
                Token::Close | Token::CloseList => depth -= 1,
                Token::Comma if depth == 0 => return,
                Token::End => return,
                _ => {}
            }
            self.advance();
        }
    }
}
