//! What is wrong with a request, in the vocabulary that clients of the original know (pydantic's), without the input.

use serde_json::{Value, json};

/// One fault: a row of the 422 list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The kind of fault: `missing`, `string_type`, `json_invalid`, …
    pub kind: &'static str,
    /// Where: `["body", "scopes", 0]`.
    pub place: Place,
    /// What a person reads.
    pub message: String,
}

impl Fault {
    /// A fault at a place.
    pub fn new(kind: &'static str, place: Place, message: impl Into<String>) -> Self {
        Self { kind, place, message: message.into() }
    }

    /// A value that has the right type and is wrong all the same.
    pub fn value(place: Place, reason: &str) -> Self {
        Self::new("value_error", place, format!("Value error, {reason}"))
    }

    /// `{type, loc, msg}`.
    pub fn to_json(&self) -> Value {
        json!({"type": self.kind, "loc": self.place.to_json(), "msg": self.message})
    }
}

/// Where in a request: the part it is in, then names and indices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(String),
    Index(usize),
}

impl Place {
    /// The body as a whole.
    pub fn body() -> Self {
        Self(vec![Step::Name("body".to_owned())])
    }

    /// A parameter of the query.
    pub fn query(name: &str) -> Self {
        Self(vec![Step::Name("query".to_owned()), Step::Name(name.to_owned())])
    }

    /// The member of that name below this place.
    #[must_use]
    pub fn at(&self, name: &str) -> Self {
        self.then(Step::Name(name.to_owned()))
    }

    /// The member whose name the caller chose: shown only where it looks like a name, for somebody may have put
    /// a secret there.
    #[must_use]
    pub fn at_callers_name(&self, name: &str) -> Self {
        let looks_like_one =
            (1..=64).contains(&name.len()) && name.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c));
        self.at(if looks_like_one { name } else { "[key]" })
    }

    /// The item with that number below this place.
    #[must_use]
    pub fn item(&self, index: usize) -> Self {
        self.then(Step::Index(index))
    }

    fn then(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    fn to_json(&self) -> Value {
        let step = |step: &Step| match step {
            Step::Name(name) => Value::from(name.as_str()),
            Step::Index(index) => Value::from(*index),
        };
        Value::Array(self.0.iter().map(step).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_reads_as_in_the_original() {
        let fault =
            Fault::new("string_type", Place::body().at("scopes").item(1), "Input should be a valid string").to_json();
        let expected =
            json!({"type": "string_type", "loc": ["body", "scopes", 1], "msg": "Input should be a valid string"});
        assert_eq!(fault, expected);
    }

    #[test]
    fn a_name_that_may_be_a_secret_is_not_repeated() {
        let place = Place::body().at("headers");
        assert_eq!(place.at_callers_name("X-Api-Key").to_json(), json!(["body", "headers", "X-Api-Key"]));
        assert_eq!(place.at_callers_name("Bearer s3cret").to_json(), json!(["body", "headers", "[key]"]));
    }
}
