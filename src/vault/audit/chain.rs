//! Verification of the audit chain: every row is as it was written, none is missing, and none was
//! inserted.
//!
//! The sealed manifest records both ends: number and MAC of the last row that retention removed
//! (the base), and of the last row (the head). Between them, the MAC of each row covers the row
//! before it.

use std::fmt;

use subtle::ConstantTimeEq;

use crate::store::{AuditRow, View};
use crate::vault::crypto::keyring::Keyring;
use crate::vault::error::VaultError;
use crate::vault::txn::audit_row::link;
use crate::vault::txn::manifest::Manifest;

/// A fault of the audit log. Rows are named by their numbers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditFault {
    /// These rows are not as they were written.
    Changed {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// These rows are missing from the middle or from the beginning.
    Missing {
        /// The first of them.
        first: u64,
        /// The last of them.
        last: u64,
    },
    /// The end of the log is missing.
    Cut {
        /// The first missing row.
        first: u64,
        /// The last row that should exist.
        last: u64,
    },
    /// These rows were not written by Strongroom, or were removed by it.
    Extra {
        /// The first of them, by its number in the table.
        first: i64,
        /// The last of them.
        last: i64,
    },
}

impl AuditFault {
    /// Returns the number of the first affected row.
    pub(crate) fn row(&self) -> String {
        match self {
            Self::Changed { first, .. } | Self::Missing { first, .. } | Self::Cut { first, .. } => first.to_string(),
            Self::Extra { first, .. } => first.to_string(),
        }
    }
}

impl fmt::Display for AuditFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { first, last } => write!(f, "{}: not as written", rows(first, last)),
            Self::Missing { first, last } => write!(f, "{}: missing", rows(first, last)),
            Self::Cut { first, last } => {
                write!(f, "{}: missing, the end of the log was cut off", rows(first, last))
            }
            Self::Extra { first, last } => write!(f, "{}: added from outside", rows(first, last)),
        }
    }
}

fn rows<N: fmt::Display + PartialEq>(first: &N, last: &N) -> String {
    if first == last { format!("audit row {first}") } else { format!("audit rows {first} to {last}") }
}

/// Walks the whole log in one pass, one row in memory at a time. Reports every fault in the order
/// of the rows, and returns the number of sound rows.
pub(crate) fn verify(
    view: &View<'_>,
    keyring: &Keyring,
    manifest: &Manifest,
    report: &mut dyn FnMut(AuditFault),
) -> Result<u64, VaultError> {
    let mut walk = Walk::new(keyring, manifest);
    let mut run = None;
    view.walk_audit(|row| {
        for fault in walk.step(&row).into_iter().flatten() {
            merge(&mut run, fault, report);
        }
        Ok::<_, VaultError>(())
    })?;
    let end = walk.end();
    for fault in end.into_iter().chain(None) {
        merge(&mut run, fault, report);
    }
    if let Some(last) = run {
        report(last);
    }
    Ok(walk.sound)
}

/// Merges a fault with the same fault of the rows before; reports a run when another fault follows.
fn merge(run: &mut Option<AuditFault>, next: AuditFault, report: &mut dyn FnMut(AuditFault)) {
    use AuditFault::{Changed, Extra};
    match (run.as_mut(), next) {
        (Some(Changed { last, .. }), Changed { first, last: new }) if first == *last + 1 => *last = new,
        (Some(Extra { last, .. }), Extra { last: new, .. }) => *last = new,
        _ => {
            if let Some(whole) = run.replace(next) {
                report(whole);
            }
        }
    }
}

/// A walk along the chain, from the base to the head.
pub(crate) struct Walk<'k> {
    keyring: &'k Keyring,
    base: u64,
    length: u64,
    head: [u8; 32],
    /// The number of the last row.
    seen: u64,
    /// The stored MAC of that row, which the next row's MAC covers.
    before: [u8; 32],
    sound: u64,
}

impl<'k> Walk<'k> {
    pub(crate) fn new(keyring: &'k Keyring, manifest: &Manifest) -> Self {
        Self {
            keyring,
            base: manifest.audit_base,
            length: manifest.audit_length,
            head: manifest.audit_head,
            seen: manifest.audit_base,
            before: manifest.audit_base_mac,
            sound: 0,
        }
    }

    /// Checks the next row. It can have two faults: rows before it are missing, and it is
    /// changed.
    pub(crate) fn step(&mut self, row: &AuditRow) -> [Option<AuditFault>; 2] {
        let Some(number) = u64::try_from(row.seq).ok().filter(|n| (self.base + 1..=self.length).contains(n)) else {
            return [Some(AuditFault::Extra { first: row.seq, last: row.seq }), None];
        };
        let gap = number > self.seen + 1;
        let missing = gap.then_some(AuditFault::Missing { first: self.seen + 1, last: number - 1 });
        // After a gap the MAC of the row before is unknown, so this row cannot be checked;
        // the next row checks its MAC.
        let changed = !gap && !self.holds(row) || number == self.length && row.mac != self.head;
        (self.seen, self.before) = (number, row.mac);
        if !gap && !changed {
            self.sound += 1;
        }
        [missing, changed.then_some(AuditFault::Changed { first: number, last: number })]
    }

    /// Returns the fault at the end, after the last row.
    pub(crate) fn end(&self) -> Option<AuditFault> {
        (self.seen < self.length).then_some(AuditFault::Cut { first: self.seen + 1, last: self.length })
    }

    fn holds(&self, row: &AuditRow) -> bool {
        is_linked(self.keyring, &self.before, row)
    }
}

/// Returns true if `row` is as it was written after the row whose MAC is `before`.
pub(crate) fn is_linked(keyring: &Keyring, before: &[u8; 32], row: &AuditRow) -> bool {
    let Some(key) = keyring.audit.all.get(&row.key_version) else { return false };
    bool::from(link(&key.chain, &keyring.vault_id, before, row).ct_eq(&row.mac))
}
