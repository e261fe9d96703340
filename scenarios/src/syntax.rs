//! RON with positions.
//!
//! The `ron` crate reads RON into Rust types and stops at the first mistake. A scenario wants all mistakes at
//! once, each with its place, also those that only the meaning shows; so this reader builds a tree in which
//! every value knows where it stands. It covers the RON that scenarios use: structs, tuples, lists, strings
//! (with escapes, and raw), numbers, booleans, enum variants, comments, trailing commas. Maps, characters,
//! byte strings and `#![enable(…)]` are refused by name.

mod lexer;
mod node;
mod parser;

pub use node::{Field, Kind, Name, Node};
pub use parser::{MOST_VALUES, NESTING_LIMIT, parse};
