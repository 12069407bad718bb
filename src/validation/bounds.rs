//! Bounds of a JSON text, checked before anything is built from it.

/// The number of elements (members and items) that a text may have.
pub(super) const MAX_ELEMENTS: usize = 20_000;

/// The number of lists and tables that may be open at once.
pub(super) const MAX_DEPTH: usize = 127;

/// Returns the bound that the text exceeds, in words. It counts commas and brackets outside
/// strings, so that a text that is not JSON is counted too.
pub fn exceeded(json: &[u8]) -> Option<String> {
    let (mut elements, mut depth, mut in_string, mut escaped) = (0_usize, 0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                elements += 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => elements += 1,
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Some(format!("lists and objects are nested more than {MAX_DEPTH} deep"));
        }
        if elements > MAX_ELEMENTS {
            return Some(format!("there are more than {MAX_ELEMENTS} members and items"));
        }
    }
    None
}
