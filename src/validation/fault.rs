//! One fault: a path, and the problem at its end.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A member whose name the type knows.
    Field(&'static str),
    /// A member whose name the input chose.
    Key(String),
    /// An item of a list.
    Index(usize),
    /// The tag of a union: it is part of the path and not of the input.
    Tag(&'static str),
}

impl Step {
    /// The name of the member, if the step leads to one.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Field(name) => Some(name),
            Self::Key(name) => Some(name),
            Self::Index(_) | Self::Tag(_) => None,
        }
    }
}

/// The problem at the end of a path. It never holds the value of a string, except a word that is not one of a few.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputProblem {
    /// A required member is absent.
    Missing,
    /// One of several members is required, and all are absent.
    MissingOneOf(&'static str),
    /// The type has no member of this name; these are the known ones.
    UnknownField(&'static [&'static str]),
    /// A string that is not one of the known words.
    UnknownWord(String, &'static [&'static str]),
    /// The union's tag is absent.
    TagMissing,
    /// The union has no variant of this tag; these are the known ones.
    TagUnknown(&'static [&'static str]),
    /// A value of another type: the expected one and the one that was found.
    WrongType(Type, Type),
    /// A string that is not a whole number.
    NotAnInteger,
    /// A number with a fraction.
    Fraction,
    /// A whole number that does not fit.
    IntegerTooLarge,
    /// A string, a list or a table that must not be empty.
    Empty(Type),
    /// A reason in the words of the type that rejected the value.
    Rejected(String),
    /// More faults were found than are listed: this many, or at least this many.
    More(usize, bool),
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// JSON's null; in TOML, a number that JSON cannot hold.
    Null,
    /// True or false.
    Boolean,
    /// A whole number.
    Integer,
    /// A number.
    Float,
    /// A string.
    String,
    /// A list.
    List,
    /// A table whose keys the input chooses.
    Map,
    /// A table whose keys are known.
    Struct,
}

/// A fault of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The path from the root of the input.
    pub path: Vec<Step>,
    /// The problem at the end of it.
    pub problem: InputProblem,
}

/// The error of one pass: the path is collected on the way up, last step first.
#[derive(Debug)]
pub(super) struct PassError {
    steps: Vec<(Step, usize)>,
    pub(super) problem: InputProblem,
}

/// Separates a field's name from the reason in a message that [`at`] made.
const AT: char = '\0';

/// Makes the message by which a type rejects one of its own fields: serde's errors carry text alone.
pub fn at(field: &str, reason: &impl fmt::Display) -> String {
    format!("{field}{AT}{reason}")
}

/// The position of a step that no type orders.
const UNORDERED: usize = usize::MAX;

impl PassError {
    pub(super) fn new(problem: InputProblem) -> Self {
        Self { steps: Vec::new(), problem }
    }

    pub(super) fn at(step: Step, problem: InputProblem) -> Self {
        Self { steps: vec![(step, UNORDERED)], problem }
    }

    /// Adds a step to the path. `fields` are the fields of the value that was read, in their order.
    pub(super) fn under(mut self, step: Option<Step>, fields: &[&str]) -> Self {
        if let Some((last, position)) = self.steps.last_mut()
            && *position == UNORDERED
        {
            *position = match last {
                Step::Index(index) => *index,
                Step::Tag(_) => 0,
                named => fields.iter().position(|field| Some(*field) == named.name()).unwrap_or(UNORDERED),
            };
        }
        self.steps.extend(step.map(|step| (step, UNORDERED)));
        self
    }

    /// The path from the root, and where each step of it stands among its siblings.
    pub(super) fn into_fault(self) -> (Vec<usize>, Fault) {
        let (path, order) = self.steps.into_iter().rev().unzip();
        (order, Fault { path, problem: self.problem })
    }
}

impl fmt::Display for PassError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the input has a fault")
    }
}

impl std::error::Error for PassError {}

impl de::Error for PassError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        match message.split_once(AT) {
            Some((field, reason)) if field.bytes().all(|c| c.is_ascii_lowercase() || c == b'_') => {
                Self::at(Step::Key(field.to_owned()), InputProblem::Rejected(reason.to_owned()))
            }
            _ => Self::new(InputProblem::Rejected(message)),
        }
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(InputProblem::Rejected(format!("must be {expected}")))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(InputProblem::Rejected(format!("must be {expected}")))
    }

    /// Reports a value that is too short. `read_at` adds its type.
    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        Self::new(InputProblem::Empty(Type::Null))
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(InputProblem::UnknownWord(word.to_owned(), known))
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self::at(Step::Key(name.to_owned()), InputProblem::UnknownField(known))
    }

    /// A name with a space in it stands for a choice among several: `one of a, b`.
    fn missing_field(name: &'static str) -> Self {
        if name.contains(' ') {
            Self::new(InputProblem::MissingOneOf(name))
        } else {
            Self::at(Step::Field(name), InputProblem::Missing)
        }
    }
}
