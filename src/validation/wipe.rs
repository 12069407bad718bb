//! Wipes what no type took over.

use serde_json::Value;
use zeroize::Zeroize as _;

/// Overwrites every string in a value with zeros: each may be a secret.
pub fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_string_is_wiped() {
        let mut value = json!({"a": "secret", "b": ["secret", {"c": "secret"}], "d": 1});
        wipe(&mut value);
        assert_eq!(value, json!({"a": "", "b": ["", {"c": ""}], "d": 1}));
    }
}
