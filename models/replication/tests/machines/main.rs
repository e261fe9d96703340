//! Both machines against each other, over a link that can fail.

mod support;
mod whole;
