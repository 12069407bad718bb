//! The settings: TOML and the environment over it, checked; nothing else in the program reads either.

mod backup;
mod callback_origin;
mod document;
mod environment;
mod fault;
mod layers;
mod load;
mod reader;
mod secret_source;
mod sections;
mod settings;
mod show;
mod table;
mod trusted_issuers;
mod unknown;
mod warnings;

pub use backup::BackupSettings;
pub use callback_origin::{CallbackFault, CallbackOrigin, CallbackOrigins, CallbackUrl, LocalhostPorts, is_loopback};
pub use environment::Environment;
pub(crate) use fault::on_one_line;
pub use fault::{ConfigErrors, Finding, Place};
#[cfg(any(test, fuzzing))]
pub(crate) use load::without_secrets;
pub use load::{ClientSecrets, Sources, provider_entries};
pub use secret_source::{SecretFault, SecretReader, SecretSource};
pub use settings::{
    Config, EgressSettings, EntryPatch, Listen, OAuthSettings, ProviderSettings, ServerSettings, TlsFiles, ToldBy,
    TrustedIssuer, Unlock, VaultSettings,
};
pub use show::Shown;
pub use table::{SETTINGS, Setting, Takes};
