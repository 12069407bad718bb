//! Faults of settings and entries: a dotted key and a sentence.

use std::fmt::{self, Write as _};

use super::fault::{Fault, InputProblem, Step, Type};
use super::nearest::nearest;

impl Fault {
    /// The key in the file: `oauth.default_scopes[1]`; empty for the input as a whole.
    pub fn key(&self) -> String {
        let mut key = String::new();
        for step in &self.path {
            match step {
                Step::Index(index) => drop(write!(key, "[{index}]")),
                named => {
                    let name = named.name();
                    if !key.is_empty() && !name.is_empty() {
                        key.push('.');
                    }
                    key.push_str(name);
                }
            }
        }
        key
    }

    /// The problem, and what to write instead.
    pub fn message(&self) -> String {
        match &self.problem {
            InputProblem::Missing => "is missing".to_owned(),
            InputProblem::MissingOneOf(names) => format!("is missing: {names}"),
            InputProblem::UnknownField(known) => {
                let written = self.path.last().map_or("", Step::name);
                format!("unknown key; {}", instead(written, known))
            }
            InputProblem::UnknownWord(word, known) if word.is_empty() => format!("must be one of {}", known.join(", ")),
            InputProblem::UnknownWord(word, known) => format!("unknown value '{word}'; {}", instead(word, known)),
            InputProblem::TagMissing(_) => "the type is missing".to_owned(),
            InputProblem::TagUnknown(known) => format!("the type must be one of {}", known.join(", ")),
            InputProblem::WrongType(expected, found) => {
                format!("this is {found}, and must be {expected}")
            }
            InputProblem::NotAnInteger | InputProblem::Fraction => "must be a whole number".to_owned(),
            InputProblem::IntegerTooLarge => "the number is too large or too small".to_owned(),
            InputProblem::Empty(_) => "must not be empty".to_owned(),
            InputProblem::TooLong(bytes) => format!("must have at most {bytes} bytes"),
            InputProblem::TooMany(_, count) => format!("must have at most {count} items"),
            InputProblem::Rejected(reason) => reason.clone(),
            InputProblem::More(count) => format!("and {count} more"),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "not a finite number",
            Self::Boolean => "true or false",
            Self::Integer => "a whole number",
            Self::Float => "a number",
            Self::String => "a string",
            Self::List => "a list",
            Self::Map | Self::Struct => "a table",
        })
    }
}

/// Names what may be written in the place of `written`.
fn instead(written: &str, known: &[&str]) -> String {
    match nearest(written, known.iter().copied()) {
        Some(near) => format!("did you mean '{near}'?"),
        None if known.is_empty() => "no key is known here".to_owned(),
        None => format!("the known ones are {}", known.join(", ")),
    }
}
