//! Faults of requests, in the vocabulary of the original (pydantic's types and words), without the
//! input.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::fault::{Fault, InputProblem, Step, Type};
use super::nearest::{did_you_mean, nearest};

/// One fault of a request: a row of the 422 list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Fault)]
pub struct RequestFault {
    /// The kind of fault: `missing`, `string_type`, `json_invalid`, …
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The part of the request, then names and indices: `["body", "scopes", 0]`.
    #[schema(value_type = Vec<Value>)]
    pub loc: Vec<Value>,
    /// A sentence for people.
    pub msg: String,
}

impl RequestFault {
    /// Makes a fault at a place; the first step is `body` or `query`.
    pub fn new(kind: &'static str, loc: impl IntoIterator<Item = impl Into<Value>>, msg: impl Into<String>) -> Self {
        Self { kind, loc: loc.into_iter().map(Into::into).collect(), msg: msg.into() }
    }

    /// Makes a fault of a value that has the right type and is not accepted.
    pub fn value(loc: impl IntoIterator<Item = impl Into<Value>>, reason: &str) -> Self {
        Self::new("value_error", loc, format!("Value error, {reason}"))
    }
}

impl From<&Fault> for RequestFault {
    fn from(fault: &Fault) -> Self {
        let (kind, mut msg) = words(&fault.problem);
        match (&fault.problem, fault.path.last()) {
            (InputProblem::UnknownField(known), Some(written)) => {
                msg += &did_you_mean(nearest(written.name(), known.iter().copied()));
            }
            // A member takes a word, and only a whole body is a union.
            (
                InputProblem::UnknownWord(_, known) | InputProblem::TagMissing(known) | InputProblem::TagUnknown(known),
                Some(last),
            ) if last.name() != "type" => {
                let msg = format!("Input should be one of {}", quoted(known));
                let path = fault.path.iter().map(step);
                return Self { kind: "enum", loc: std::iter::once("body".into()).chain(path).collect(), msg };
            }
            (InputProblem::UnknownWord(word, _), None) if word.is_empty() => {
                return Self::new("model_attributes_type", ["body"], NOT_AN_OBJECT);
            }
            _ => {}
        }
        let path = match (&fault.problem, fault.path.as_slice()) {
            // The tag is told at the union, as the original does.
            (InputProblem::UnknownWord(..), [above @ .., Step::Field("type")]) => above,
            (_, path) => path,
        };
        Self { kind, loc: std::iter::once("body".into()).chain(path.iter().map(step)).collect(), msg }
    }
}

fn step(step: &Step) -> Value {
    match step {
        Step::Field(name) | Step::Tag(name) => Value::from(*name),
        Step::Key(name) => Value::from(shown(name)),
        Step::Index(index) => Value::from(*index),
    }
}

fn quoted(known: &[&str]) -> String {
    known.iter().filter(|word| !word.is_empty()).map(|word| format!("'{word}'")).collect::<Vec<_>>().join(", ")
}

/// A name that the caller chose, if it looks like one: a secret may have been put there by mistake.
fn shown(name: &str) -> &str {
    let is_name_like =
        (1..=64).contains(&name.len()) && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c));
    if is_name_like { name } else { "[key]" }
}

fn words(problem: &InputProblem) -> (&'static str, String) {
    let (kind, words) = match problem {
        InputProblem::Missing => ("missing", "Field required"),
        InputProblem::MissingOneOf(names) => return ("missing", format!("Field required: {names}")),
        InputProblem::UnknownField(_) => ("extra_forbidden", "Extra inputs are not permitted"),
        InputProblem::TagMissing(_) => ("union_tag_not_found", "Unable to extract tag using discriminator 'type'"),
        InputProblem::TagUnknown(known) | InputProblem::UnknownWord(_, known) => {
            let expected = quoted(known);
            let msg = format!("Input tag found using 'type' does not match any of the expected tags: {expected}");
            return ("union_tag_invalid", msg);
        }
        InputProblem::WrongType(expected, _) => match expected {
            Type::Null | Type::String => ("string_type", "Input should be a valid string"),
            Type::Boolean => ("bool_type", "Input should be a valid boolean"),
            Type::Integer => ("int_type", "Input should be a valid integer"),
            Type::Float => ("float_type", "Input should be a valid number"),
            Type::List => ("list_type", "Input should be a valid list"),
            Type::Map => ("dict_type", "Input should be a valid dictionary"),
            Type::Struct => ("model_attributes_type", NOT_AN_OBJECT),
        },
        InputProblem::NotAnInteger => ("int_parsing", NOT_A_NUMBER),
        InputProblem::Fraction => {
            ("int_from_float", "Input should be a valid integer, got a number with a fractional part")
        }
        InputProblem::IntegerTooLarge => {
            ("int_parsing_size", "Unable to parse input string as an integer, exceeded maximum size")
        }
        InputProblem::Empty(Type::Map | Type::Struct) => {
            ("too_short", "Dictionary should have at least 1 item after validation, not 0")
        }
        InputProblem::Empty(Type::List) => ("too_short", "List should have at least 1 item after validation, not 0"),
        InputProblem::Empty(_) => ("string_too_short", "String should have at least 1 character"),
        InputProblem::TooLong(bytes) => {
            return ("string_too_long", format!("String should have at most {bytes} bytes"));
        }
        InputProblem::TooMany(of, count) => {
            let of = if *of == Type::List { "List" } else { "Dictionary" };
            return ("too_long", format!("{of} should have at most {count} items after validation"));
        }
        InputProblem::Rejected(reason) => return ("value_error", format!("Value error, {reason}")),
        InputProblem::More(count) => return ("too_many_errors", format!("and {count} more")),
    };
    (kind, words.to_owned())
}

/// The words for a body that is not an object.
pub const NOT_AN_OBJECT: &str = "Input should be a valid dictionary or object to extract fields from";

/// The words for a text that is not a whole number.
pub const NOT_A_NUMBER: &str = "Input should be a valid integer, unable to parse string as an integer";
