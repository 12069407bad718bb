use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::bounds::{MAX_DEPTH, MAX_ELEMENTS};
use super::*;

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    method: Method,
    #[serde(default)]
    sure: bool,
    #[serde(default)]
    inner: Option<Inner>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Method {
    #[default]
    Get,
    Post,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Inner {
    count: u8,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Union {
    One(One),
    Two(Inner),
}

#[derive(Debug, PartialEq, Deserialize)]
struct One {
    title: String,
    #[serde(default)]
    by_name: BTreeMap<String, String>,
    when: Option<i64>,
}

fn plain<T: serde::de::DeserializeOwned>(input: &Value) -> (bool, Vec<String>) {
    let (value, faults) = read::<T>(input, Format::Toml);
    (value.is_some(), faults.iter().map(|fault| format!("{}: {}", fault.key(), fault.message())).collect())
}

fn request<T: serde::de::DeserializeOwned>(input: &Value) -> Vec<(&'static str, Value)> {
    let (_, faults) = read::<T>(input, Format::Json);
    faults.iter().map(RequestFault::from).map(|fault| (fault.kind, Value::from(fault.loc))).collect()
}

#[test]
fn every_fault_is_found_in_the_order_of_the_fields() {
    let input = json!({"sure": "yes", "scopes": ["a", 1, "b", false], "methd": "get", "inner": {"count": 300, "x": 1}});
    let expected = [
        "name: is missing",
        "scopes[1]: this is a whole number, and must be a string",
        "scopes[3]: this is true or false, and must be a string",
        "sure: this is a string, and must be true or false",
        "inner.count: the number is too large or too small",
        "inner.x: unknown key; the known ones are count",
        "methd: unknown key; did you mean 'method'?",
    ];
    assert_eq!(plain::<Entry>(&input), (true, expected.map(str::to_owned).into()));
}

#[test]
fn every_missing_member_is_found_whatever_its_type() {
    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only the faults are looked at")]
    struct Required {
        count: u8,
        sure: bool,
        scopes: Vec<String>,
        by_name: BTreeMap<String, String>,
        inner: Inner,
        name: String,
    }
    let missing = |name| format!("{name}: is missing");
    let expected = ["count", "sure", "scopes", "by_name", "inner", "name"].map(missing);
    assert_eq!(plain::<Required>(&json!({})), (true, expected.into()));
}

#[test]
fn a_faulty_or_mistyped_key_is_not_missing_too() {
    let input = json!({"nme": "x", "sure": 1});
    let expected =
        ["sure: this is a whole number, and must be true or false", "nme: unknown key; did you mean 'name'?"];
    assert_eq!(plain::<Entry>(&input), (true, expected.map(str::to_owned).into()));
    let expected = ["name: this is a whole number, and must be a string"];
    assert_eq!(plain::<Entry>(&json!({"name": 1})), (true, expected.map(str::to_owned).into()));
}

#[test]
fn a_word_that_is_not_known_names_the_known_ones() {
    let input = json!({"name": "x", "sure": true, "method": "brew"});
    assert_eq!(plain::<Entry>(&input).1, ["method: unknown value 'brew'; the known ones are get, post"]);
    let input = json!({"name": "x", "sure": true, "method": 1});
    assert_eq!(plain::<Entry>(&input).1, ["method: must be one of get, post"]);
}

#[test]
fn an_input_without_faults_is_read_in_one_pass() {
    let input = json!({"name": "x", "sure": true, "inner": {"count": 1}});
    let expected = Entry { name: "x".into(), sure: true, inner: Some(Inner { count: 1 }), ..Entry::default() };
    assert_eq!(read::<Entry>(&input, Format::Toml), (Some(expected), vec![]));
}

#[test]
fn a_union_is_told_apart_by_its_tag_and_the_tag_is_in_the_path() {
    assert_eq!(request::<Union>(&json!({"title": "t"})), [("union_tag_not_found", json!(["body"]))]);
    assert_eq!(request::<Union>(&json!({"type": "three"})), [("union_tag_invalid", json!(["body"]))]);
    assert_eq!(request::<Union>(&json!([])), [("model_attributes_type", json!(["body"]))]);
    let faulty = json!({"type": "one", "by_name": {"a": 1, "b c": 2}, "when": "soon"});
    let expected = [
        ("missing", json!(["body", "one", "title"])),
        ("string_type", json!(["body", "one", "by_name", "a"])),
        ("string_type", json!(["body", "one", "by_name", "[key]"])),
        ("int_parsing", json!(["body", "one", "when"])),
    ];
    assert_eq!(request::<Union>(&faulty), expected);
}

#[test]
fn integers_of_requests_come_in_three_forms() {
    let when = |when: Value| {
        let (value, faults) = read::<Union>(&json!({"type": "one", "title": "", "when": when}), Format::Json);
        match value {
            Some(Union::One(one)) if faults.is_empty() => Ok(one.when),
            _ => Err(RequestFault::from(&faults[0]).kind),
        }
    };
    for (given, number) in [(json!(5), 5), (json!(-5.0), -5), (json!("5"), 5), (json!(" 5.00 "), 5)] {
        assert_eq!(when(given), Ok(Some(number)));
    }
    assert_eq!(when(json!(null)), Ok(None));
    for (given, kind) in [
        (json!(1.5), "int_from_float"),
        (json!("1.5"), "int_parsing"),
        (json!("x"), "int_parsing"),
        (json!(""), "int_parsing"),
        (json!(true), "int_type"),
        (json!([]), "int_type"),
        (json!(1e300), "int_parsing_size"),
        (json!(u64::MAX), "int_parsing_size"),
    ] {
        assert_eq!(when(given), Err(kind));
    }
}

#[test]
fn at_most_100_faults_are_listed() {
    let faults = |count: usize| read::<Vec<String>>(&json!(vec![1; count]), Format::Json).1;
    assert_eq!(faults(100).len(), 100);
    assert_eq!(faults(120).len(), 100);
    assert_eq!(faults(120)[99].problem, InputProblem::More(21));
    assert_eq!(faults(MAX_ELEMENTS)[99].problem, InputProblem::More(MAX_ELEMENTS - 99));
}

#[test]
fn bounds_are_counted_outside_strings() {
    let list = |count: usize| format!("[{}]", vec!["\",[\""; count].join(","));
    assert_eq!(exceeded(list(MAX_ELEMENTS).as_bytes()), None);
    assert!(exceeded(list(MAX_ELEMENTS + 1).as_bytes()).is_some());
    assert_eq!(exceeded(br#"{"a": "\"[[", "b": {}}"#), None);
    let deep = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
    assert_eq!(exceeded(deep(MAX_DEPTH).as_bytes()), None);
    assert!(exceeded(deep(MAX_DEPTH + 1).as_bytes()).is_some());
}
