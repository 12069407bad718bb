//! What is sealed: records, keyring, slots, backups, and the files beside them. Who opens them is asked from within the vault.

use crate::vault::properties;

/// A record: edited or moved after it was sealed, found, or sealed by us around anything.
pub fn record(bytes: &[u8]) {
    properties::record(bytes);
}

/// The rows of a keyring that was used for a while and is then edited.
pub fn keyring(bytes: &[u8]) {
    properties::keyring(bytes);
}

/// A slot: one that was found, as the head of a backup has it, or a good one that is edited.
pub fn slot(bytes: &[u8]) {
    properties::slot(bytes);
}

/// A backup: found, edited, or sealed by us around anything.
pub fn backup(bytes: &[u8]) {
    properties::backup(bytes);
}

/// An epoch file: what is believed of it, we wrote.
pub fn epoch_file(bytes: &[u8]) {
    properties::epoch_file(bytes);
}
