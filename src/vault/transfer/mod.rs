//! Credentials that move between vaults: import, export and the export file.

pub(crate) mod export_file;
pub(crate) mod import;
pub(crate) mod import_candidate;
mod known_credentials;
pub(crate) mod transferred_credential;
