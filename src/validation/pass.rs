//! The passes over the input: each finds one fault, and the next one leaves it out.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::deserializer::read_at;
use super::fault::{Fault, InputProblem, PassError, Step, Type};
use super::marks::{Format, Marks};
use super::nearest::nearest;

/// The number of faults that are listed at most; the last one says how many more there are.
pub(super) const MAX_FAULTS: usize = 100;

/// The number of faults up to which they are counted. It bounds the number of passes.
const MAX_COUNTED: usize = 2 * MAX_FAULTS;

/// Reads a value and finds every fault of it, in the order of the type's fields. With faults, the value is what could be
/// read beside them, if anything: stand-ins are in the place of missing members.
pub fn read<T: DeserializeOwned>(input: &Value, format: Format) -> (Option<T>, Vec<Fault>) {
    read_over(input, None, format)
}

/// Reads a value as [`read`] does. A member of `defaults` takes the place of a faulty member.
pub fn read_over<T: DeserializeOwned>(
    input: &Value,
    defaults: Option<&Value>,
    format: Format,
) -> (Option<T>, Vec<Fault>) {
    let mut marks = Marks::default();
    let mut found = Found::default();
    let value = loop {
        let error = match read_at(PhantomData::<T>, (input, defaults), Some(&marks), format, None) {
            Ok(value) => break Some(value),
            Err(error) => error,
        };
        if found.next(input, error, &mut marks).is_none() {
            break None;
        }
    };
    (value, found.into_faults())
}

/// The faults so far.
#[derive(Default)]
struct Found {
    faults: Vec<(Vec<usize>, Fault)>,
    /// Members that unknown ones were most likely meant to be.
    meant: Vec<Vec<Step>>,
    given_up: bool,
}

impl Found {
    /// Takes a fault down and marks the input, so that the next pass gets further; `None` if there is no next pass.
    fn next(&mut self, input: &Value, error: PassError, marks: &mut Marks) -> Option<()> {
        let (order, mut fault) = error.into_fault();
        if self.faults.len() == MAX_COUNTED {
            self.given_up = true;
            return None;
        }
        if let Some(above) = marks.above_stand_in(&fault.path) {
            // The type takes no stand-in: the table is left out, and that is not a fault of its own.
            return marks.leave_out(above);
        }
        let path = fault.path.clone();
        let missing = fault.problem == InputProblem::Missing;
        if missing && at(input, &path).is_some_and(Value::is_null) {
            // A required member that is null is there, and has the wrong type.
            fault.problem = InputProblem::WrongType(Type::String, Type::Null);
            marks.leave_out(&path);
        }
        if let InputProblem::UnknownField(known) = fault.problem
            && let Some((Step::Key(written), above)) = path.split_last()
            && let Some(near) = nearest(written, known.iter().copied())
        {
            self.meant.push([above, &[Step::Key(near.to_owned())]].concat());
        }
        if !self.follows(&fault) {
            self.faults.push((order, fault));
        }
        if missing { marks.stand_in(&path) } else { marks.leave_out(&path) }
    }

    /// Returns true if the fault is a consequence of an earlier one: something in it was left out, or it is missing because
    /// it was faulty or mistyped.
    fn follows(&self, fault: &Fault) -> bool {
        let same = |one: &[Step], other: &[Step]| one.iter().map(names).eq(other.iter().map(names));
        let within = |(_, earlier): &(_, Fault)| {
            earlier.path.get(..fault.path.len()).is_some_and(|above| same(above, &fault.path))
        };
        self.faults.iter().any(within) || self.meant.iter().any(|meant| same(meant, &fault.path))
    }

    fn into_faults(mut self) -> Vec<Fault> {
        self.faults.sort_by(|(one, _), (other, _)| one.cmp(other));
        let count = self.faults.len();
        let mut faults: Vec<Fault> = self.faults.into_iter().map(|(_, fault)| fault).take(MAX_FAULTS).collect();
        if count > MAX_FAULTS {
            faults.truncate(MAX_FAULTS - 1);
            let more = count - faults.len();
            faults.push(Fault { path: Vec::new(), problem: InputProblem::More(more, self.given_up) });
        }
        faults
    }
}

fn at<'v>(input: &'v Value, path: &[Step]) -> Option<&'v Value> {
    path.iter().try_fold(input, |value, step| match step {
        Step::Tag(_) => Some(value),
        Step::Index(index) => value.get(index),
        named => value.get(named.name()?),
    })
}

fn names(step: &Step) -> (Option<&str>, Option<usize>) {
    match step {
        Step::Index(index) => (None, Some(*index)),
        named => (named.name(), None),
    }
}
