//! Long campaigns: kills, power cuts, failing disks, corruption, races. `.ci/campaigns` runs them in full.

#![allow(clippy::unwrap_used, reason = "an unexpected value fails the test")]
#![allow(unreachable_pub, reason = "shared by the modules of this binary")]

#[path = "../support/mod.rs"]
mod support;

mod backup_beside;
mod backup_damage;
mod clock_jumps;
mod corruption;
#[cfg(target_os = "linux")]
mod fsync_failures;
mod full_disk;
mod kill;
#[cfg(target_os = "linux")]
mod kill_points;
#[cfg(target_os = "linux")]
#[cfg(target_os = "linux")]
mod power_cut;
mod refresh_kill;
mod refresh_races;
