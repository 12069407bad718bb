//! Reads typed values and reports every fault at once, each with its path.
//!
//! serde stops at the first fault and does not say where it is. [`read`] deserializes again and again: a faulty value is
//! left out in the next pass, a missing one gets a stand-in. Settings, entries of the catalogue and request bodies are
//! plain `serde::Deserialize` types; a type reports a value that it rejects by the constructors of `serde::de::Error`:
//! `custom` for a reason in words, `invalid_length` for an empty one, `missing_field` for a missing one.

mod bounds;
mod deserializer;
mod fault;
mod marks;
mod nearest;
mod pass;
mod plain;
mod pydantic;
mod stand_in;
mod wipe;

pub use bounds::exceeded;
pub use deserializer::decimal;
pub use fault::{Fault, InputProblem, Step, Type, at};
pub use marks::Format;
pub use nearest::nearest;
pub use pass::{read, read_over};
pub use pydantic::{NOT_A_NUMBER, NOT_AN_OBJECT, RequestFault};
pub use wipe::wipe;

#[cfg(test)]
mod tests;
