//! The four kinds of credential.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Kind of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[clap(rename_all = "snake_case")]
pub enum Kind {
    /// Tokens from an OAuth 2 authorization server.
    #[serde(rename = "oauth2")]
    #[clap(name = "oauth2")]
    OAuth2,
    /// One API key.
    ApiKey,
    /// A user name and a password.
    UserPassword,
    /// Headers for requests to one host.
    HostScoped,
}

impl Kind {
    /// All kinds, in the order of lists.
    pub const ALL: [Self; 4] = [Self::OAuth2, Self::ApiKey, Self::UserPassword, Self::HostScoped];

    /// Returns the name in the API, on the command line and in the vault.
    pub fn name(self) -> &'static str {
        match self {
            Self::OAuth2 => "oauth2",
            Self::ApiKey => "api_key",
            Self::UserPassword => "user_password",
            Self::HostScoped => "host_scoped",
        }
    }

    /// Returns the kind with this name, or `None`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
