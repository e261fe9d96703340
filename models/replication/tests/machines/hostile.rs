//! What a peer may send that breaks the rules.
