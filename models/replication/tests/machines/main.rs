//! Both machines against each other, over a link that can fail.

mod answers;
mod any_fault;
mod damaged;
mod disk;
mod failover;
mod hostile;
mod outage;
mod support;
mod whole;
