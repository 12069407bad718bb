//! Limits of the members of request bodies, by name. They are checked before anything is built
//! from a member, so that a large one costs no more than its text.

use serde_json::Value;

use super::fault::{InputProblem, Type};

const KIB: usize = 1024;

/// Limit of one member. A text counts its bytes, and the name of an item belongs to the item.
/// `state_metadata` counts the bytes of its JSON text, because it is stored as such.
pub struct MemberLimit {
    /// Texts and numbers in a list or map, at any depth.
    pub items: usize,
    /// Bytes of each item.
    pub item_bytes: usize,
    /// Bytes of all items together.
    pub bytes: usize,
}

impl MemberLimit {
    const fn bytes(bytes: usize) -> Self {
        Self { items: usize::MAX, item_bytes: bytes, bytes }
    }
}

/// Returns the limit of the member with this name. A member without a limit of its own is a short
/// text: a URL, an id, a host.
pub fn member_limit(name: &str) -> MemberLimit {
    match name {
        "title" => MemberLimit::bytes(KIB),
        "state_metadata" => MemberLimit::bytes(16 * KIB),
        "scopes" | "further_scopes" => MemberLimit { items: 1000, ..MemberLimit::bytes(16 * KIB) },
        "api_key" | "username" | "password" | "client_secret" | "key" | "code" | "state_token" | "device_token" => {
            MemberLimit::bytes(64 * KIB)
        }
        "providers" | "credentials" | "hosts" | "methods" | "paths" => {
            MemberLimit { items: 100, ..MemberLimit::bytes(16 * KIB) }
        }
        "headers" => MemberLimit { items: 64, ..MemberLimit::bytes(32 * KIB) },
        "inputs" => MemberLimit { items: 32, item_bytes: 4 * KIB, bytes: 32 * KIB },
        "callback_params" => MemberLimit { items: 64, item_bytes: 4 * KIB, bytes: 256 * KIB },
        _ => MemberLimit::bytes(4 * KIB),
    }
}

/// Size of a value.
#[derive(Clone, Copy, Default)]
struct Size {
    items: usize,
    longest: usize,
    bytes: usize,
}

impl Size {
    fn of(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::item(text.len()),
            Value::Array(items) if !items.is_empty() => items.iter().map(Self::of).fold(Self::default(), Self::plus),
            Value::Object(members) if !members.is_empty() => {
                members.iter().map(|(name, value)| Self::of(value).named(name)).fold(Self::default(), Self::plus)
            }
            other => Self::item(other.to_string().len()),
        }
    }

    fn item(bytes: usize) -> Self {
        Self { items: 1, longest: bytes, bytes }
    }

    fn named(self, name: &str) -> Self {
        Self { longest: self.longest + name.len(), bytes: self.bytes + name.len(), ..self }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            items: self.items + other.items,
            longest: self.longest.max(other.longest),
            bytes: self.bytes + other.bytes,
        }
    }
}

/// Returns the limit that the member exceeds.
pub(super) fn exceeded(name: &str, value: &Value) -> Option<InputProblem> {
    let (limit, mut size) = (member_limit(name), Size::of(value));
    if name == "state_metadata" {
        size = Size::item(value.to_string().len());
    }
    let too_long = |bytes| match value {
        Value::String(_) => InputProblem::TooLong(bytes),
        _ => InputProblem::Rejected(format!("it has more than {bytes} bytes in all")),
    };
    if size.items > limit.items {
        let of_type = if value.is_array() { Type::List } else { Type::Map };
        Some(InputProblem::TooMany(of_type, limit.items))
    } else if size.bytes > limit.bytes {
        Some(too_long(limit.bytes))
    } else if size.longest > limit.item_bytes {
        Some(InputProblem::Rejected(format!("an item has more than {} bytes", limit.item_bytes)))
    } else {
        None
    }
}

/// Describes the limit that the value of the member with this name exceeds, for a value that does
/// not come from a request body.
pub fn exceeded_limit(name: &str, value: &Value) -> Option<String> {
    exceeded(name, value).map(|problem| match problem {
        InputProblem::TooLong(bytes) => format!("it has more than {bytes} bytes"),
        InputProblem::TooMany(_, items) => format!("it has more than {items} items"),
        InputProblem::Rejected(why) => why,
        _ => "it is too large".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Map, json};

    use super::*;

    fn named(count: usize, text: &str) -> Value {
        let members = (0..count).map(|number| (format!("n{number}"), Value::from(text)));
        Value::Object(members.collect::<BTreeMap<_, _>>().into_iter().collect::<Map<_, _>>())
    }

    #[test]
    fn members_are_limited_by_name() {
        let text = |bytes: usize| json!("x".repeat(bytes));
        for (name, largest, too_large) in [
            ("title", text(1024), text(1025)),
            ("callback_url", text(4096), text(4097)),
            ("api_key", text(65_536), text(65_537)),
            ("code", text(65_536), text(65_537)),
            ("scopes", json!(vec!["x"; 1000]), json!(vec!["x"; 1001])),
            ("scopes", json!([text(16_384)]), json!([text(16_000), text(400)])),
            ("further_scopes", json!({"a": vec!["x"; 1000]}), json!({"a": vec!["x"; 500], "b": vec!["x"; 501]})),
            ("state_metadata", json!({"a": text(16_376)}), json!({"a": text(16_377)})),
            ("state_metadata", json!({"a": vec![0; 8_000]}), json!({"a": vec![json!([]); 8_000]})),
            ("headers", named(64, "x"), named(65, "x")),
            ("headers", named(64, &"x".repeat(500)), named(64, &"x".repeat(512))),
            ("paths", json!(vec!["/x"; 100]), json!(vec!["/x"; 101])),
            ("hosts", json!(vec!["x".repeat(163); 100]), json!(vec!["x".repeat(164); 100])),
            ("inputs", named(32, "x"), named(33, "x")),
            ("inputs", json!({"a": text(4000)}), json!({"a": text(4096)})),
            ("callback_params", named(64, &"x".repeat(4000)), named(65, "x")),
            ("callback_params", json!({"a": text(4095)}), json!({"a": text(4096)})),
            ("callback_params", json!({}), json!({"x".repeat(5000): ""})),
        ] {
            assert_eq!(exceeded(name, &largest), None, "{name}");
            assert!(exceeded(name, &too_large).is_some(), "{name}");
        }
    }
}
