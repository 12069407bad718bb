//! `strongroom credential add --grant …`: credentials that need no user login.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::broker::{self, NewSecret, OwnClient, Renewal, ServiceRequest};
use crate::cli::failure::Failure;
use crate::cli::secret_input::{self, FROM_FILE};
use crate::secret::Secret;

/// Grant that needs no user login.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Grant {
    /// Client credentials (RFC 6749 §4.4)
    ClientCredentials,
    /// Service account that signs with its key (RFC 7523)
    ServiceAccount,
}

/// Options of a credential that needs no user login.
#[derive(Debug, Args)]
pub(in crate::cli) struct Service {
    /// Store an OAuth credential that needs no user login. The secret is the client secret, or the
    /// service account's key file (JSON, or PEM with --issuer)
    #[arg(long, conflicts_with = "kind")]
    grant: Option<Grant>,
    /// For client_credentials: id of the user's own client [default: the configured client]
    #[arg(long, requires = "grant", value_name = "ID")]
    client_id: Option<String>,
    /// For service_account with a PEM key: issuer
    #[arg(long, requires = "grant")]
    issuer: Option<String>,
    /// For service_account: subject to act for
    #[arg(long, requires = "grant")]
    subject: Option<String>,
    /// Scope to request; may be repeated
    #[arg(long = "scope", requires = "grant", value_name = "SCOPE")]
    scopes: Vec<String>,
}

impl Service {
    /// Returns true if `--grant` was given.
    pub(in crate::cli) fn is_wanted(&self) -> bool {
        self.grant.is_some()
    }

    /// Builds the grant. `given` is the secret from a file; without it the secret is asked for.
    pub(in crate::cli) fn secret(
        &self,
        given: Option<Secret>,
        inputs: BTreeMap<String, String>,
    ) -> Result<NewSecret, Failure> {
        let renewal = if self.grant == Some(Grant::ServiceAccount) {
            let key = given.ok_or_else(|| {
                Failure::configuration("a service account needs a key").advise("give it with --from-file FILE")
            })?;
            let account =
                broker::service_account(&Value::from(key.expose()), self.issuer.clone(), self.subject.clone());
            Renewal::ServiceAccount(account.map_err(Failure::new)?)
        } else {
            let own = match &self.client_id {
                Some(id) => {
                    let secret = given.map_or_else(|| secret_input::ask("Client secret", FROM_FILE), Ok)?;
                    Some(OwnClient { id: id.clone(), secret: Some(secret).filter(|secret| !secret.is_empty()) })
                }
                None => None,
            };
            Renewal::ClientCredentials { own }
        };
        Ok(NewSecret::Service(ServiceRequest { renewal, scopes: self.scopes.clone(), inputs }))
    }
}
