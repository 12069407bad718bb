//! Reads typed values and reports every fault at once, each with its path.
//!
//! serde stops at the first fault and does not say where it is. [`read`] records each fault and
//! reads on: a faulty value is left out, and a missing one gets a stand-in. Settings, entries of
//! the catalogue and request bodies are plain `serde::Deserialize` types; a type reports a value
//! that it rejects by the constructors of `serde::de::Error`: `custom` for a reason in words,
//! `invalid_length` for an empty one, `missing_field` for a missing one.

mod bounds;
mod deserializer;
mod fault;
mod member_limits;
mod nearest;
mod plain;
mod pydantic;
mod wipe;

pub use bounds::exceeded;
pub use deserializer::{Format, decimal};
pub use fault::{Fault, InputProblem, Step, Type, at};
pub use member_limits::{MemberLimit, exceeded_limit, member_limit};
pub use nearest::{did_you_mean, is_slip, nearest};
pub use pydantic::{NOT_A_NUMBER, NOT_AN_OBJECT, RequestFault};
pub use wipe::wipe;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Reads a value and finds every fault of it, in the order of the type's fields. With faults, the
/// value is what could be read beside them, if anything: stand-ins are in the place of missing
/// members.
pub fn read<T: DeserializeOwned>(input: &Value, format: Format) -> (Option<T>, Vec<Fault>) {
    read_over(input, None, format)
}

/// Reads a value as [`read`] does. A member of `defaults` takes the place of a faulty member.
pub fn read_over<T: DeserializeOwned>(
    value: &Value,
    defaults: Option<&Value>,
    format: Format,
) -> (Option<T>, Vec<Fault>) {
    let (read, found) = deserializer::InputValue { value, defaults, format }.read();
    (read, found.into_faults())
}

#[cfg(test)]
mod tests;
