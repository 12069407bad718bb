//! Error responses (RFC 6749 §4.1.2.1 and §5.2, RFC 8628 §3.5).

/// An error code with its description. The texts are our own and contain nothing of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) struct EndpointError {
    pub(in crate::sandbox) error: &'static str,
    pub(in crate::sandbox) description: &'static str,
}

impl EndpointError {
    pub(in crate::sandbox) fn new(error: &'static str, description: &'static str) -> Self {
        Self { error, description }
    }

    pub(in crate::sandbox) fn invalid_request(description: &'static str) -> Self {
        Self::new("invalid_request", description)
    }

    pub(in crate::sandbox) fn invalid_grant(description: &'static str) -> Self {
        Self::new("invalid_grant", description)
    }
}
