//! Properties of sealed data: records, keyring, slots, backups, epoch files. The checks are inside
//! the vault's module.

use crate::vault::properties;

/// Opens a record that is arbitrary, edited or moved, or that we sealed around arbitrary data.
pub fn record(bytes: &[u8]) {
    properties::record(bytes);
}

/// Opens the rows of a used and then edited keyring.
pub fn keyring(bytes: &[u8]) {
    properties::keyring(bytes);
}

/// Opens a slot that is arbitrary, as in the head of a backup, or valid and then edited.
pub fn slot(bytes: &[u8]) {
    properties::slot(bytes);
}

/// Reads a backup that is arbitrary or edited, or that we sealed around arbitrary data.
pub fn backup(bytes: &[u8]) {
    properties::backup(bytes);
}

/// Reads an epoch file: an accepted one was written by us.
pub fn epoch_file(bytes: &[u8]) {
    properties::epoch_file(bytes);
}
