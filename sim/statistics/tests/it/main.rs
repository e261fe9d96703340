//! The statistics against known truth: tables, laws whose parameters are known, and properties that always hold.

mod coverage;
mod laws;
mod properties;
mod series;
mod tables;
