//! Limits of request members in the OpenAPI description, from the table that the server checks.
//!
//! JSON Schema counts characters, and the server bytes of UTF-8. A character has one byte or more,
//! so the schema allows at least what the server accepts. Descriptions name the bytes.

use serde_json::{Map, Value, json};

use crate::validation::{MemberLimit, member_limit};

/// Adds the limits to each property of the schema of a request body, or of each member of a union.
pub(super) fn add(schema: &mut Value) {
    for member in schema.get_mut("oneOf").and_then(Value::as_array_mut).into_iter().flatten() {
        add(member);
    }
    for (name, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        let limit = member_limit(name);
        let Some(property) = property.as_object_mut().filter(|property| !property.contains_key("enum")) else {
            continue;
        };
        if limit_values(property, &limit, limit.bytes) {
            let words = words(name, property, &limit);
            let before = property.get("description").and_then(Value::as_str).map(|text| format!("{text} "));
            property.insert("description".to_owned(), (before.unwrap_or_default() + &words).into());
        }
    }
}

/// Adds the limits of texts, lists and maps in the schema of a member. Returns true if it has any.
fn limit_values(schema: &mut Map<String, Value>, limit: &MemberLimit, text_bytes: usize) -> bool {
    let is = |schema: &Map<String, Value>, kind: &str| match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(|one| one == kind),
        one => one.is_some_and(|one| one == kind),
    };
    if is(schema, "string") {
        schema.insert("maxLength".to_owned(), json!(text_bytes));
        return true;
    }
    let alternatives = schema.get_mut("oneOf").and_then(Value::as_array_mut).into_iter().flatten();
    let mut limited = false;
    for alternative in alternatives.filter_map(Value::as_object_mut) {
        limited |= limit_values(alternative, limit, text_bytes);
    }
    for (kind, items, count) in [("array", "items", "maxItems"), ("object", "additionalProperties", "maxProperties")] {
        if is(schema, kind) {
            if limit.items != usize::MAX {
                schema.insert(count.to_owned(), json!(limit.items));
            }
            if let Some(Value::Object(item)) = schema.get_mut(items) {
                limit_values(item, limit, limit.item_bytes);
            }
            limited = true;
        }
    }
    limited
}

fn words(name: &str, schema: &Map<String, Value>, limit: &MemberLimit) -> String {
    let bytes = limit.bytes;
    if name == "state_metadata" {
        return format!("At most {bytes} bytes of JSON.");
    }
    if !schema.contains_key("items") && !schema.contains_key("additionalProperties") {
        return format!("At most {bytes} bytes of UTF-8.");
    }
    let of_item = if limit.item_bytes < bytes { format!(" and {} for each", limit.item_bytes) } else { String::new() };
    format!("At most {bytes} bytes of UTF-8 in all{of_item}; the name of an item belongs to it.")
}
