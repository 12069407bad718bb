//! Reasons why a request cannot carry a secret.

/// The reason why a secret cannot be set in a request. No message contains a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InjectError {
    /// The entry does not say where the secret goes.
    #[error("the catalogue does not say how this provider takes its secret")]
    Unplaced,
    /// The entry needs several secrets, joined by colons, and the credential has fewer.
    #[error("this provider needs several secrets, joined by colons; update the credential")]
    Parts,
    /// The secret has a character that a header cannot carry.
    #[error("the secret contains a character that a header cannot carry; update the credential")]
    Value,
    /// The request does not go to a path below that of the base URL.
    #[error("this provider takes its secret in the path, right after the base URL's path; send a path below it")]
    Path,
    /// The secret goes into the body, and the body is neither a JSON object nor a form.
    #[error("this provider takes its secret in the body; send a JSON object or a form, with its Content-Type")]
    Body,
    /// The body names the member of the secret more than once.
    #[error("the body has the member of the secret more than once")]
    RepeatedMember,
}
