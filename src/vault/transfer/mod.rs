//! Credentials that move between vaults: import, export and the export file.

pub(in crate::vault) mod export_file;
pub(in crate::vault) mod import;
pub(in crate::vault) mod transferred_credential;
