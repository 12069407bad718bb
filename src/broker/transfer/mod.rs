//! Import from other programs and other vaults, and export.

mod export;
mod import;
mod import_mapping;

pub use export::{ExportError, ExportReport, ExportedCredential};
pub use import::{ImportReport, ImportedItem};
pub use import_mapping::ImportOptions;
