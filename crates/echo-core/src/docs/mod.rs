//! Pages of the documentation, without code of their own.

#[doc = include_str!("guarantees.md")]
pub mod guarantees {}

#[doc = include_str!("coming_from.md")]
pub mod coming_from {}
