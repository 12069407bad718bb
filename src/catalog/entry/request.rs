//! Method and body of a request that an entry describes.

use serde::{Deserialize, Serialize};

/// The format of a request's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// `application/x-www-form-urlencoded`, as RFC 6749 has it.
    #[default]
    Form,
    /// `application/json`.
    Json,
    /// No body at all.
    None,
}

/// The method of a request that an entry describes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// GET
    #[default]
    Get,
    /// POST
    Post,
    /// DELETE
    Delete,
}

impl Method {
    pub(super) fn post() -> Self {
        Self::Post
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls it with")]
    pub(super) fn is_post(&self) -> bool {
        *self == Self::Post
    }
}
