//! Methods that are never sent, and attempts to override the method.

use http::{HeaderMap, Method};

use super::strip::{AuthSlots, METHOD_OVERRIDES};

/// Returns true if requests with this method are never sent: TRACE and TRACK echo the headers, and
/// CONNECT opens a tunnel.
pub fn is_refused_method(method: &Method) -> bool {
    ["CONNECT", "TRACE", "TRACK"].iter().any(|name| method.as_str().eq_ignore_ascii_case(name))
}

/// Returns the name of a header or a parameter that overrides the method of a request at some
/// origins. A key with methods in its grants may not send one.
pub fn method_override(headers: &HeaderMap, query: Option<&str>) -> Option<&'static str> {
    let header = METHOD_OVERRIDES.iter().find(|name| headers.contains_key(**name)).copied();
    let names = ["_method".to_owned()];
    let in_query = query.is_some_and(|query| query.split('&').any(|pair| AuthSlots::is_parameter(&names, pair)));
    header.or(in_query.then_some("_method"))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn headers(name: &str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::try_from(name).unwrap(), HeaderValue::from_static("DELETE"))])
    }

    #[test]
    fn echo_and_tunnel_methods_are_refused() {
        for name in ["TRACE", "Track", "trace", "CONNECT"] {
            assert!(is_refused_method(&Method::from_bytes(name.as_bytes()).unwrap()), "{name}");
        }
        assert!(!is_refused_method(&Method::GET) && !is_refused_method(&Method::OPTIONS));
    }

    #[test]
    fn method_override_is_named() {
        assert_eq!(method_override(&headers("X-Method-OVERRIDE"), None), Some("x-method-override"));
        assert_eq!(method_override(&HeaderMap::new(), Some("a=b&%5Fmethod=DELETE")), Some("_method"));
        assert_eq!(method_override(&headers("x-method"), Some("method=x")), None);
    }
}
