//! Permission to give a secret out: sealed with the credential, and withdrawn by a setting for all
//! credentials of a provider.

use crate::broker::parts::Broker;
use crate::config::Config;
use crate::id::ProviderName;
use crate::vault::{CredentialMetadata, Exportable};

/// Returns true if the secret of this credential may be given out.
pub(in crate::broker) fn is_exportable(config: &Config, summary: &CredentialMetadata) -> bool {
    summary.exportable.0 && allows(config, &summary.provider)
}

/// Returns true if the settings allow to give out secrets of the provider's credentials.
fn allows(config: &Config, provider: &ProviderName) -> bool {
    config.providers.get(provider).and_then(|settings| settings.exportable).unwrap_or(true)
}

impl Broker {
    /// Returns true if the secret of this credential may be given out.
    pub(in crate::broker) fn is_exportable(&self, summary: &CredentialMetadata) -> bool {
        is_exportable(&self.0.config, summary)
    }

    /// Returns the permission of a new credential of this provider. `asked` is the caller's wish.
    pub(in crate::broker) fn exportable_at(&self, provider: &ProviderName, asked: Option<bool>) -> Exportable {
        Exportable(asked.unwrap_or(true) && allows(&self.0.config, provider))
    }
}
