//! Many runs of one scenario: what changes between them, how often each point runs, and what comes out.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`schema`] | a sweep, as its file describes it |
//! | [`decode`] | reads the file, or says everything that is wrong with it |
//! | [`library`] | the sweeps that come with the program |
//! | [`space`] | what values an axis or an uncertain field may take |
//! | [`points`] | the combinations of the axes' values that satisfy the conditions |
//! | [`prepare`] | tries every value of every axis on the scenario, before anything runs |
//! | [`plan`] | how many runs, how long, how much disk |
//! | [`execute`] | runs what has not run yet, in parallel, each run guarded |
//! | [`guard`] | a panic becomes a message |
//! | [`isolate`] | a run that takes too much memory dies alone |
//! | [`identity`] | what identifies a run |
//! | [`entry`] | what is kept of a run |
//! | [`cache`] | the finished runs on disk |
//! | [`directory`] | a sweep's directory: one writer, whole files |
//! | [`components`] | which source of chance makes the runs of a point differ |
//! | [`tails`] | the slowest requests of a client, run by run |
//! | [`seeds`] | which seeds a replication has |
//! | [`estimate`] | what the replications of a point say |
//! | [`goal`] | whether a point got to the precision that was asked for |
//! | [`rows`], [`columns`] | one row for each run, as CSV and Parquet |
//! | [`summary`] | one entry for each point, as JSON |
//! | [`sensitivity`] | which axes matter: the design of a study, and what its points say |
//! | [`pictures`] | what a study found, drawn |
//! | [`plots`], [`draw`] | the data of declared plots, and their pictures |
//! | [`names`] | what pictures are called, and what tells them and their lines apart |
//! | [`tables`] | writes all of these in one pass over the finished runs |
//! | [`merge`] | puts parts together that ran in different places |
//! | [`compare`] | two sweeps, or two runs, replication by replication |
//! | [`text`] | the same for a terminal |
//!
//! # How it holds together
//! A run is a function of its scenario, its seed and the versions of the program, and the cache is keyed by exactly
//! these. Everything else in the directory is derived from the cache in the order of the points. So it does not matter
//! how often a sweep was killed, on how many threads it ran, or in how many parts: the tables have the same bytes. And a
//! sweep that has grown, by points or replications or metrics, finds everything that it has in common with the old one.

pub mod cache;
mod censored;
pub mod compare;
pub mod components;
pub mod decode;
pub mod directory;
pub mod draw;
pub mod entry;
pub mod estimate;
pub mod execute;
pub mod goal;
pub mod guard;
pub mod identity;
pub mod isolate;
mod layout;
pub mod library;
pub mod merge;
pub mod names;
pub mod pictures;
pub mod plan;
pub mod plots;
pub mod points;
pub mod prepare;
pub mod rows;
pub mod schema;
pub mod seeds;
pub mod sensitivity;
pub mod space;
pub mod summary;
pub mod tables;
pub mod tails;
pub mod text;

pub use longhaul_reports::columns;
