//! Both machines against each other, over a link that can fail.

mod any_fault;
mod damaged;
mod failover;
mod hostile;
mod outage;
mod support;
mod whole;
