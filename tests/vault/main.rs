//! The vault: tampering, audit log, backups, rollback protection, erasure.

#![allow(clippy::unwrap_used, reason = "an unexpected value fails the test")]
#![allow(unreachable_pub, reason = "shared by the modules of this binary")]

#[path = "../support/mod.rs"]
mod support;

mod attacks;
mod audit;
mod backup_drill;
mod backup_schedule;
mod damaged_row;
mod erasure;
mod keys;
#[cfg(target_os = "linux")]
mod local_user;
mod moved_files;
mod rollback;
mod secrecy;
mod sql_attacker;
