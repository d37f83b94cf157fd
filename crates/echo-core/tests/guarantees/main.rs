//! The sixteen guarantees, each for every codec that it concerns and on every driver.
//!
//! `echo_core::guarantees` says which test stands for which; `table.rs` holds it to that.
#![expect(clippy::unwrap_used, reason = "these are tests, which a macro marks as such")]

mod arithmetic;
mod chunks;
mod codecs;
mod deadlines;
mod delimiters;
mod echo;
mod ends;
mod limits;
mod resume;
mod support;
mod symmetry;
mod table;
