//! One fault: a path, and the problem at its end.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::nearest::nearest;

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
    /// The name of the member, or empty if the step leads to none.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Field(name) => name,
            Self::Key(name) => name,
            Self::Index(_) | Self::Tag(_) => "",
        }
    }
}

/// The problem at the end of a path. It never holds the value of a string, except a word that is
/// not one of a few.
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
    /// The union's tag is absent; these are the known ones.
    TagMissing(&'static [&'static str]),
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
    /// A string with more bytes than this.
    TooLong(usize),
    /// A list or a table with more items than this.
    TooMany(Type, usize),
    /// A reason in the words of the type that rejected the value.
    Rejected(String),
    /// More faults were found than are listed: this many.
    More(usize),
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

/// The number of faults that are listed at most; the last one says how many more there are.
pub(super) const MAX_FAULTS: usize = 100;

/// The faults of a value.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// At most `MAX_FAULTS`, each with its path from the value, last step first.
    listed: Vec<Fault>,
    count: usize,
}

impl Found {
    /// Returns the one fault of a value that is not read.
    pub(super) fn of(problem: InputProblem) -> Self {
        Self { listed: vec![Fault { path: Vec::new(), problem }], count: 1 }
    }

    pub(super) fn add(&mut self, step: Step, problem: InputProblem) {
        self.append(Self { listed: vec![Fault { path: vec![step], problem }], count: 1 }, None);
    }

    /// Adds the faults of what is one step below.
    pub(super) fn append(&mut self, below: Self, step: Option<&Step>) {
        self.count += below.count;
        for mut fault in below.listed.into_iter().take(MAX_FAULTS - self.listed.len()) {
            fault.path.extend(step.cloned());
            self.listed.push(fault);
        }
    }

    /// Adds the fault of a value of type `found`, unless it is a consequence of an earlier one: a
    /// faulty item or member was left out.
    pub(super) fn record(&mut self, error: ReadError, found: Type) {
        let (step, problem) = match error {
            ReadError::Value(InputProblem::Empty(_)) => (None, InputProblem::Empty(found)),
            ReadError::Value(problem) => (None, problem),
            ReadError::Member(name, problem) => (Some(Step::Key(name)), problem),
            _ => return,
        };
        let within = |fault: &Fault| {
            step.as_ref().is_none_or(|step| fault.path.last().is_some_and(|last| last.name() == step.name()))
        };
        if !self.listed.iter().any(within) {
            let fault = Fault { path: Vec::new(), problem };
            self.append(Self { listed: vec![fault], count: 1 }, step.as_ref());
        }
    }

    /// Returns true if an unknown member was most likely meant to be this one.
    pub(super) fn has_mistyped(&self, name: &str) -> bool {
        self.listed.iter().any(|fault| match (&fault.problem, &fault.path[..]) {
            (InputProblem::UnknownField(known), [written]) => {
                nearest(written.name(), known.iter().copied()) == Some(name)
            }
            _ => false,
        })
    }

    /// Returns the list, each path from the root.
    pub(super) fn into_faults(self) -> Vec<Fault> {
        let mut faults = self.listed;
        for fault in &mut faults {
            fault.path.reverse();
        }
        if self.count > MAX_FAULTS {
            faults.truncate(MAX_FAULTS - 1);
            let problem = InputProblem::More(self.count - faults.len());
            faults.push(Fault { path: Vec::new(), problem });
        }
        faults
    }
}

/// An attempt to read a value that did not succeed.
#[derive(Debug, thiserror::Error)]
#[error("the input has a fault")]
pub(super) enum ReadError {
    /// A problem of the value.
    Value(InputProblem),
    /// A problem of the member of this name.
    Member(String, InputProblem),
    /// A required member is absent.
    Missing(&'static str),
    /// The member of this name has faults, and there is no value.
    Faulty(String, Found),
    /// Nothing can stand in for a member.
    NoStandIn,
    /// The faults are recorded.
    Recorded,
}

/// Separates a field's name from the reason in a message that [`at`] made.
const AT: char = '\0';

/// Makes the message by which a type rejects one of its own fields: serde's errors carry text
/// alone.
pub fn at(field: &str, reason: &impl fmt::Display) -> String {
    format!("{field}{AT}{reason}")
}

impl ReadError {
    /// The reason in the words of the type that rejected the value.
    fn rejected(message: String) -> Self {
        match message.split_once(AT) {
            Some((field, reason)) if field.bytes().all(|c| c.is_ascii_lowercase() || c == b'_') => {
                Self::Member(field.to_owned(), InputProblem::Rejected(reason.to_owned()))
            }
            _ => Self::Value(InputProblem::Rejected(message)),
        }
    }
}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::rejected(message.to_string())
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Value(InputProblem::Rejected(format!("must be {expected}")))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::Value(InputProblem::Rejected(format!("must be {expected}")))
    }

    /// Reports a value that is too short. `Found::record` adds its type.
    fn invalid_length(_: usize, _: &dyn Expected) -> Self {
        Self::Value(InputProblem::Empty(Type::Null))
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::Value(InputProblem::UnknownWord(word.to_owned(), known))
    }

    fn unknown_field(_: &str, known: &'static [&'static str]) -> Self {
        Self::Value(InputProblem::UnknownField(known))
    }

    /// A name with a space in it stands for a choice among several: `one of a, b`.
    fn missing_field(name: &'static str) -> Self {
        if name.contains(' ') { Self::Value(InputProblem::MissingOneOf(name)) } else { Self::Missing(name) }
    }
}
