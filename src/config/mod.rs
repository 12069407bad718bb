//! The settings: TOML and the environment over it, checked; nothing else in the program reads either.

mod callback_origin;
mod environment;
mod fault;
mod secret_source;
mod settings;

pub use callback_origin::{CallbackFault, CallbackOrigin, CallbackOrigins, CallbackUrl, LocalhostPorts, is_loopback};
pub use environment::Environment;
pub use fault::{ConfigErrors, Finding, Place};
pub use secret_source::{SecretFault, SecretReader, SecretSource};
pub use settings::{
    Config, EgressSettings, EntryPatch, Listen, OAuthSettings, ProviderSettings, ServerSettings, TlsFiles, Unlock,
    VaultSettings,
};
