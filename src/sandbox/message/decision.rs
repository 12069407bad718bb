//! The user's decision on a request.

use super::form::Form;

/// The user unless the request names another.
pub(in crate::sandbox) const DEFAULT_USER: &str = "dev";

/// A decision.
#[derive(Clone)]
pub(in crate::sandbox) enum Decision {
    Approve { user: String },
    Deny,
}

impl Decision {
    /// Reads a decision and the parameter `user` with the name of the user. An error is a sentence
    /// for the error page.
    pub(in crate::sandbox) fn read(decision: &str, form: &Form, user: &str) -> Result<Self, &'static str> {
        match decision {
            "approve" => {
                let user = form.get(user).map_err(|_| "The user name was sent more than once.")?.map(str::trim);
                let user = user.filter(|name| !name.is_empty()).unwrap_or(DEFAULT_USER);
                if user.chars().count() > 64 || user.chars().any(char::is_control) {
                    return Err("A user name has at most 64 characters and no control characters.");
                }
                Ok(Self::Approve { user: user.to_owned() })
            }
            "deny" => Ok(Self::Deny),
            _ => Err("The decision must be approve or deny."),
        }
    }
}
