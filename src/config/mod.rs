//! The settings: a TOML file and the environment over it, checked. No other module reads either.

mod callback_origin;
pub(crate) mod document;
mod environment;
mod fields;
mod finding;
mod layers;
mod listen;
mod load;
mod provider_settings;
mod secret_source;
mod settings;
mod show;
mod table;
mod trusted_issuers;
mod warnings;

pub use callback_origin::{CallbackFault, CallbackOrigin, CallbackOrigins, CallbackUrl, LocalhostPorts, is_loopback};
pub use environment::Environment;
pub(crate) use finding::on_one_line;
pub use finding::{ConfigErrors, Finding, Location};
pub use listen::Listen;
#[cfg(any(test, fuzzing))]
pub(crate) use load::without_secrets;
pub use load::{ClientSecrets, Part, Sources, provider_entries};
pub use provider_settings::{EntryPatch, ProviderSettings};
pub use secret_source::{SecretFault, SecretReader, SecretSource, Unlock};
pub use settings::{
    BackupSettings, Config, EgressSettings, LimitSettings, OAuthSettings, ProxySettings, ServerSettings, TlsFiles,
    VaultSettings,
};
pub use show::{Shown, show_of_dev};
pub use table::{SETTINGS, Setting, Takes};
pub use trusted_issuers::{ToldBy, TrustedIssuer};
