//! Rotation: creates a new data key and re-encrypts everything with it, beside a running server.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::broker::vault_admin::VaultAdmin;
use crate::vault::{RotationEnd, RotationPlace, VaultError};

/// Target duration of one transaction, which other writers wait for.
const BATCH: Duration = Duration::from_millis(6);
/// Rows of the first transaction, and maximum and minimum rows of one.
const FIRST: u32 = 32;
const MOST: u32 = 512;
const FEWEST: u32 = 4;

/// Result of a rotation.
#[derive(Clone, Debug, Serialize)]
pub struct RotationReport {
    /// Version of the new data key.
    pub data_key: u32,
    /// True if an earlier rotation was continued.
    pub resumed: bool,
    /// Number of re-encrypted records.
    pub resealed: u64,
    /// Number of records that still use an old data key.
    pub left: u64,
    /// Versions of the destroyed data keys.
    pub destroyed: Vec<u32>,
    /// Table and row of records that do not open.
    pub damaged: Vec<(String, String)>,
    /// True if `stop` ended it early.
    #[serde(skip)]
    pub paused: bool,
}

impl VaultAdmin {
    /// Returns the number of records that an unfinished rotation still has to re-encrypt; `None`
    /// without a rotation.
    pub fn rotation_left(&self) -> Result<Option<u64>, VaultError> {
        self.vault.rotation().unfinished()
    }

    /// Rotates to the end or until `stop`, with pauses in which other writers run. Calls `progress`
    /// with the number of re-encrypted records and their total.
    pub async fn rotate(
        &self,
        stop: impl Future<Output = ()>,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<RotationReport, VaultError> {
        let vault = &self.vault;
        let mut stop = std::pin::pin!(stop);
        let begun = vault.rotation().begin(&self.who).await?;
        let (mut place, mut limit, mut resealed, mut paused) = (RotationPlace::default(), FIRST, 0, false);
        loop {
            let start = Instant::now();
            let Some(count) = vault.rotation().reseal_some(&mut place, limit).await? else { break };
            let took = start.elapsed();
            resealed += count;
            progress(resealed, begun.left);
            limit = if took > BATCH { limit / 2 } else { limit.saturating_mul(2) }.clamp(FEWEST, MOST);
            tokio::select! {
                biased;
                () = &mut stop => {
                    paused = true;
                    break;
                }
                () = tokio::time::sleep(took / 2) => {}
            }
        }
        let (left, destroyed) = if paused {
            (vault.rotation().unfinished()?.unwrap_or(0), Vec::new())
        } else {
            match vault.rotation().end(&self.who).await? {
                RotationEnd::Destroyed(versions) => (0, versions),
                RotationEnd::StillUsed(left) => (left, Vec::new()),
            }
        };
        let (data_key, resumed, damaged) = (begun.data_key, begun.resumed, place.damaged);
        Ok(RotationReport { data_key, resumed, resealed, left, destroyed, damaged, paused })
    }
}
