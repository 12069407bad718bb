//! Texts in place of a secret: expressions, references, masks and examples. A program that stores
//! one would present it to the provider.

use crate::secret::Secret;

/// Words in place of a value.
const WORDS: [&str; 8] =
    ["null", "undefined", "[object object]", "redacted", "[redacted]", "placeholder", "[filtered]", "todo"];

/// Beginnings of references to other places, and n8n's mark for a value that it hides.
const REFERENCES: [&str; 5] = ["op://", "vault://", "secret://", "arn:aws:secretsmanager:", "__n8n_blank_value_"];

/// Names of header schemes that may precede a secret.
const SCHEMES: [&str; 4] = ["bearer ", "basic ", "token ", "apikey "];

/// Returns true if the text stands in place of a secret:
///
/// - an expression: `={{ … }}`, `{{ … }}`, `${NAME}`, `$NAME`, `$secrets.name`, `%NAME%`, `{% … %}`,
/// - a mask: `****`, `sk-****`, `••••`, `xxxx`, `...`,
/// - an example: `<your key>`, `your-api-key`, `null`, `[REDACTED]`,
/// - a reference: `op://vault/item`.
pub(super) fn is_placeholder(secret: &Secret) -> bool {
    let whole = secret.expose().trim();
    let scheme =
        SCHEMES.iter().find(|scheme| whole.get(..scheme.len()).is_some_and(|s| s.eq_ignore_ascii_case(scheme)));
    let text = whole[scheme.map_or(0, |scheme| scheme.len())..].trim();
    let lower = zeroize::Zeroizing::new(text.to_ascii_lowercase());
    has_expression(text)
        || is_variable(text)
        || is_masked(text)
        || is_example(&lower)
        || WORDS.contains(&lower.as_str())
        || REFERENCES.iter().any(|reference| lower.starts_with(reference))
}

/// Returns true if the text contains an expression of a template language.
fn has_expression(text: &str) -> bool {
    let between = |open: &str, close: &str| {
        text.split(open).skip(1).find_map(|rest| rest.split_once(close)).map(|(inside, _)| inside)
    };
    let is_shell = |inside: &str| inside.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    between("{{", "}}").is_some() || between("{%", "%}").is_some() || between("${", "}").is_some_and(is_shell)
}

/// Returns true if the text is a variable: `$NAME`, `$secrets.name`, `%NAME%`.
fn is_variable(text: &str) -> bool {
    let is_upper = |name: &str| {
        name.len() > 1
            && name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
            && name.bytes().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == b'_')
    };
    // A password may begin with `$` too, so a single name in lower case is not a variable.
    let is_path = |name: &str| {
        name.contains('.') && name.split('.').all(|part| !part.is_empty() && part.bytes().all(is_of_a_name))
    };
    let between_percents = text.strip_prefix('%').and_then(|rest| rest.strip_suffix('%'));
    text.strip_prefix('$').is_some_and(|name| is_upper(name) || is_path(name)) || between_percents.is_some_and(is_upper)
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Returns true if the text is hidden, as a whole or in its middle.
fn is_masked(text: &str) -> bool {
    let is_mask = |c: char| matches!(c, '*' | '•' | '●' | '·' | '…' | '.' | 'x' | 'X');
    let is_whole = text.chars().count() >= 3 && text.chars().all(is_mask);
    is_whole || text.contains("****") || text.contains("•••") || text.contains("●●●") || text.contains('…')
}

/// Returns true if the text, in lower case, tells to fill in a value.
fn is_example(text: &str) -> bool {
    let is_in_brackets = text.starts_with('<') && text.ends_with('>');
    let rest = text.trim_start_matches(['<', '[', '{']);
    let is_yours = rest.strip_prefix("your").is_some_and(|rest| rest.starts_with(['-', '_', ' ']));
    is_in_brackets
        || is_yours
        || text.contains("<your")
        || text.contains("your_api_key")
        || text.contains("your-api-key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_told_from_secrets() {
        for text in [
            "={{ $secrets.key }}",
            "={{$json.token}}",
            "{{API_KEY}}",
            "Bearer {{ token }}",
            "${API_KEY}",
            "sk-${KEY:-x}",
            "Bearer ${TOKEN}",
            "$API_KEY",
            "Bearer $TOKEN",
            "$secrets.openai.key",
            "$env.KEY",
            "%API_KEY%",
            "{% raw %}",
            "<your key>",
            "<YOUR_API_KEY>",
            "Basic <credentials>",
            "your-api-key",
            "YOUR_API_KEY_HERE",
            "sk-your_api_key",
            "****",
            "***",
            "sk-****cdef",
            "••••••••",
            "xxxxxxxx",
            "sk-…abcd",
            "...",
            "null",
            "[REDACTED]",
            "undefined",
            "op://vault/item/key",
            "__n8n_BLANK_VALUE_e5362baf-c777-4d57-a609-6eaf1f9e87f6",
            " ={{ $json.x }} ",
        ] {
            assert!(is_placeholder(&Secret::new(text)), "{text}");
        }
        for text in [
            "sk-proj-abcdef0123",
            "hunter2",
            "$ecret",
            "pa$$word",
            "a{b}c",
            "$2b$12$KIXQ",
            "x",
            "xx",
            "**",
            "p*s*w",
            "{\"type\":\"service_account\"}",
            "eyJhbGciOi.eyJzdWIi.sig",
            "1//0gabc",
            "<3 flowers",
            "100%",
            "%41",
            "a=b==",
            "$",
            "${}",
            "Bearer abc",
            "yours truly",
            "token",
            "$A",
        ] {
            assert!(!is_placeholder(&Secret::new(text)), "{text}");
        }
    }
}
