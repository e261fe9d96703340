//! From text to tokens, on demand: no list of tokens is ever held.

use crate::diagnose::{Diagnostic, Place};

/// The smallest meaningful piece of a text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Token {
    /// `(`
    Open,
    /// `)`
    Close,
    /// `[`
    OpenList,
    /// `]`
    CloseList,
    /// `,`
    Comma,
    /// `:`
    Colon,
    /// A name, `true` and `false` among them.
    Word(String),
    /// A number as written.
    Number(String),
    /// A string, its escapes resolved.
    Text(String),
    /// What was refused, already reported. Stands where a value may stand.
    Bad,
    /// The end of the text.
    End,
}

impl Token {
    /// For messages.
    pub fn describe(&self) -> String {
        let fixed = match self {
            Token::Open => "`(`",
            Token::Close => "`)`",
            Token::OpenList => "`[`",
            Token::CloseList => "`]`",
            Token::Comma => "`,`",
            Token::Colon => "`:`",
            Token::Word(word) => return format!("`{word}`"),
            Token::Number(number) => return format!("`{number}`"),
            Token::Text(_) => "a string",
            Token::Bad => "something unreadable",
            Token::End => "the end of the text",
        };
        fixed.to_owned()
    }
}

/// Reads tokens from a text.
pub struct Lexer<'a> {
    text: &'a str,
    index: u16,
    at: usize,
    errors: Vec<Diagnostic>,
    /// Braces that were opened, and refused, so that their closing ones need not be.
    braces: u32,
}

const QUOTE_QUANTITIES: &str = "a quantity is a string with its unit, such as \"80 ms\"";

impl<'a> Lexer<'a> {
    /// A lexer of the bytes of `text` from `at` on; places get the text's index `index`.
    pub fn new(text: &'a str, index: u16, at: usize) -> Lexer<'a> {
        Lexer {
            text,
            index,
            at,
            errors: Vec::new(),
            braces: 0,
        }
    }

    /// What was found wrong since the last call.
    pub fn take_errors(&mut self) -> Vec<Diagnostic> {
        std::mem::take(&mut self.errors)
    }

    /// The next token and its place.
    pub fn next(&mut self) -> (Token, Place) {
        self.skip_space_and_comments();
        let start = self.at;
        let Some(first) = self.rest().chars().next() else {
            return (Token::End, self.place(start));
        };
        let token = match first {
            '(' => self.single(Token::Open),
            ')' => self.single(Token::Close),
            '[' => self.single(Token::OpenList),
            ']' => self.single(Token::CloseList),
            ',' => self.single(Token::Comma),
            ':' => self.single(Token::Colon),
            '"' => self.string(),
            '0'..='9' | '-' | '+' | '.' => self.number(),
            'a'..='z' | 'A'..='Z' | '_' => self.word(),
            '{' => {
                self.braces += 1;
                self.single(Token::Bad);
                self.refuse(
                    start,
                    "a map has no place in a scenario; a struct is written (field: value)",
                )
            }
            '}' if self.braces > 0 => {
                self.braces -= 1;
                self.single(Token::Bad)
            }
            '#' => self.refuse_character("attributes such as #![enable(…)] have no place in a scenario"),
            '\'' => self.character(),
            other => self.refuse_character(&format!("`{}` has no meaning here", other.escape_debug())),
        };
        (token, self.place(start))
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// From `start` to where the lexer is now.
    fn place(&self, start: usize) -> Place {
        let offset = |at: usize| u32::try_from(at).expect("a text below 4 GiB");
        Place {
            text: self.index,
            start: offset(start),
            end: offset(self.at),
        }
    }

    fn single(&mut self, token: Token) -> Token {
        self.at += 1;
        token
    }

    fn refuse(&mut self, start: usize, message: &str) -> Token {
        self.errors
            .push(Diagnostic::error(self.place(start), "", message));
        Token::Bad
    }

    /// Refuses one character, and the like that follow it, so that a run of garbage is one mistake.
    fn refuse_character(&mut self, message: &str) -> Token {
        let start = self.at;
        let first = self.rest().chars().next();
        while let Some(next) = self.rest().chars().next()
            && Some(next) == first
        {
            self.at += next.len_utf8();
        }
        self.refuse(start, message)
    }

    fn skip_space_and_comments(&mut self) {
        loop {
            let rest = self.rest();
            // Some editors open a file with a byte order mark; it says nothing.
            let trimmed = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("//") {
                self.at += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if trimmed.starts_with("/*") {
                self.skip_block_comment();
            } else {
                return;
            }
        }
    }

    fn skip_block_comment(&mut self) {
        let start = self.at;
        let mut depth = 0u32;
        let bytes = self.text.as_bytes();
        while self.at < bytes.len() {
            match &bytes[self.at..(self.at + 2).min(bytes.len())] {
                b"/*" => {
                    depth += 1;
                    self.at += 2;
                }
                b"*/" => {
                    depth -= 1;
                    self.at += 2;
                    if depth == 0 {
                        return;
                    }
                }
                _ => self.at += 1,
            }
        }
        let opening = Place {
            end: self.place(start).start + 2,
            ..self.place(start)
        };
        self.errors
            .push(Diagnostic::error(opening, "", "this comment is never closed"));
    }

    fn word(&mut self) -> Token {
        let start = self.at;
        match self.rest().as_bytes() {
            [b'r', b'"', ..] => return self.raw_string(),
            [b'r', b'#', ..] => return self.raw_string(),
            [b'b', b'"' | b'\'', ..] | [b'b', b'r', b'"' | b'#', ..] => {
                self.at += 1;
                // The string behind the prefix is read and dropped.
                let _ = self.next();
                return self.refuse(
                    start,
                    "a byte string has no place in a scenario; a string is written \"…\"",
                );
            }
            _ => {}
        }
        let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        self.at += self.rest().bytes().take_while(word).count();
        Token::Word(self.text[start..self.at].to_owned())
    }

    /// A sign, digits, point and exponent, as loosely as RON has them; what the field takes, the decoder says.
    fn number(&mut self) -> Token {
        let start = self.at;
        let mut previous = b'e';
        for byte in self.rest().bytes() {
            let sign = matches!(byte, b'+' | b'-') && matches!(previous, b'e' | b'E');
            if !(sign || byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'%')) {
                break;
            }
            previous = byte;
            self.at += 1;
        }
        let number = &self.text[start..self.at];
        if !number.bytes().any(|b| b.is_ascii_digit()) {
            return self.refuse(start, &format!("`{number}` is not a number"));
        }
        let radix = number.trim_start_matches(['+', '-']).starts_with("0x");
        let letters = number.trim_start_matches(|c: char| !c.is_ascii_alphabetic() && c != '%');
        let exponent =
            letters.starts_with(['e', 'E']) && !letters[1..].contains(|c: char| c.is_ascii_alphabetic());
        if letters.is_empty() || exponent || radix {
            Token::Number(number.to_owned())
        } else {
            self.refuse(start, &format!("`{number}` is not a number; {QUOTE_QUANTITIES}"))
        }
    }

    fn raw_string(&mut self) -> Token {
        let start = self.at;
        self.at += 1;
        let hashes = self.rest().bytes().take_while(|b| *b == b'#').count();
        self.at += hashes;
        if !self.rest().starts_with('"') {
            let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
            self.at += self.rest().bytes().take_while(word).count();
            return self.refuse(
                start,
                "a raw string is written r\"…\" or r#\"…\"#; names need no r#",
            );
        }
        self.at += 1;
        let end = format!("\"{}", "#".repeat(hashes));
        match self.rest().find(&end) {
            Some(length) => {
                let content = self.rest()[..length].to_owned();
                self.at += length + end.len();
                Token::Text(content)
            }
            None => {
                let token = self.refuse(start, "this raw string is never closed");
                self.at = self.text.len();
                token
            }
        }
    }

    /// A string ends on its line. RON would let it run on, but then a forgotten quote turns the rest of the file
    /// inside out.
    fn string(&mut self) -> Token {
        let start = self.at;
        self.at += 1;
        let mut content = String::new();
        loop {
            let rest = self.rest();
            let length = rest.find(['"', '\\', '\n']).unwrap_or(rest.len());
            content.push_str(&rest[..length]);
            self.at += length;
            match self.rest().as_bytes().first() {
                Some(b'"') => {
                    self.at += 1;
                    return Token::Text(content);
                }
                Some(b'\\') => content.extend(self.escape()),
                _ => {
                    return self.refuse(
                        start,
                        "this string is not closed on its line; a line break is written \\n",
                    );
                }
            }
        }
    }

    /// A character literal, or an apostrophe.
    fn character(&mut self) -> Token {
        let start = self.at;
        let near = self.rest().char_indices().take(14);
        let closing = near
            .take_while(|(_, character)| *character != '\n')
            .skip(2)
            .find(|(_, character)| *character == '\'');
        self.at += closing.map_or(1, |(at, _)| at + 1);
        self.refuse(
            start,
            "a character has no place in a scenario; a string is written \"…\"",
        )
    }

    /// The character of the escape sequence at the lexer; a wrong one is reported and gives none.
    fn escape(&mut self) -> Option<char> {
        let start = self.at;
        self.at += 1;
        let kind = self.rest().chars().next()?;
        self.at += kind.len_utf8();
        let simple = match kind {
            '"' | '\\' | '\'' => Some(kind),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            '0' => Some('\0'),
            'x' => self.hexadecimal(2),
            'u' if self.rest().starts_with('{') => {
                self.at += 1;
                let digits = self.rest().bytes().take_while(u8::is_ascii_hexdigit).count();
                let character = if (1..=6).contains(&digits) {
                    self.hexadecimal(digits)
                } else {
                    None
                };
                match self.rest().strip_prefix('}') {
                    Some(_) => {
                        self.at += 1;
                        character
                    }
                    None => None,
                }
            }
            _ => None,
        };
        if simple.is_none() {
            let written = &self.text[start..self.at];
            self.refuse(start, &format!("`{written}` is not an escape sequence"));
        }
        simple
    }

    fn hexadecimal(&mut self, digits: usize) -> Option<char> {
        let text = self.rest().get(..digits)?;
        let value = text
            .bytes()
            .all(|b| b.is_ascii_hexdigit())
            .then(|| u32::from_str_radix(text, 16).ok())??;
        self.at += digits;
        char::from_u32(value)
    }
}
