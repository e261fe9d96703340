//! Links by themselves.

mod background;
mod books;
mod codel;
mod drop_tail;
mod failure;
mod fq_codel;
mod htb;
mod rare_laws;
mod support;
mod varying;
