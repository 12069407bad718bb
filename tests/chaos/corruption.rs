//! Byte flips, truncations and torn pages, over the database, its write-ahead log and a backup: never a wrong plaintext, never
//! a panic, and either `vault verify` (or the restore) names it or everything is still as it was.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::support::chance::Chance;
use crate::support::sample::{Copies, Sample, Verdict};
use strongroom::random::Random;
use strongroom::vault::{AuditContext, BackupSource, OpenMode, Restorer, Vault};

/// The damaged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Database,
    Log,
    Backup,
}

/// Kind of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Damage {
    Flip,
    Truncation,
    TornPage,
}

const PAGE: usize = 4096;

/// Panics in all threads.
static PANICS: AtomicU64 = AtomicU64::new(0);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_is_reported_or_harmless() {
    // The panic hook counts the panics of every thread, so no other test may run in this process.
    if !crate::support::in_own_process("corruption::damage_is_reported_or_harmless") {
        return;
    }
    let sample = Arc::new(Sample::new().await);
    let copies = Copies::new();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        PANICS.fetch_add(1, Ordering::SeqCst);
        usual(panic);
    }));
    let mut verdicts: BTreeMap<(Target, Damage, Verdict), u32> = BTreeMap::new();
    for (damage, count) in [
        (Damage::Flip, crate::support::campaign(90, 300, 3_000)),
        (Damage::Truncation, crate::support::campaign(15, 50, 500)),
        (Damage::TornPage, crate::support::campaign(12, 30, 200)),
    ] {
        for number in 0..count {
            // Half of them in the database, a quarter each in its log and in the backup.
            let target = [Target::Database, Target::Log, Target::Database, Target::Backup][number as usize % 4];
            let seed = u64::from(number) * 8 + damage as u64;
            let verdict = trial(&sample, &copies, target, damage, &mut Chance::new(seed)).await;
            let place = format!("{target:?}, {damage:?}, seed {seed}");
            assert_eq!(PANICS.load(Ordering::SeqCst), 0, "{place}: a panic");
            match (&verdict, target) {
                (Verdict::Wrong(wrong), _) => panic!("{place}: {wrong}"),
                // A log that ends early is an earlier moment of the same vault. Nothing else may be one.
                (Verdict::Earlier, Target::Database | Target::Backup) => panic!("{place}: something is missing"),
                (Verdict::Right, Target::Backup) => panic!("{place}: every byte of a backup is authenticated"),
                _ => {}
            }
            *verdicts.entry((target, damage, verdict)).or_default() += 1;
        }
    }
    println!("{verdicts:#?}");
    assert!(verdicts.keys().any(|(_, _, verdict)| *verdict == Verdict::Named), "verify names nothing: {verdicts:?}");
}

async fn trial(sample: &Sample, copies: &Copies, target: Target, damage: Damage, chance: &mut Chance) -> Verdict {
    match target {
        Target::Database => {
            let path = copies.put(&spoilt(&sample.database, damage, chance), None);
            sample.judge(&path, chance).await
        }
        Target::Log => {
            let path = copies.put(&sample.early, Some(&spoilt(&sample.log, damage, chance)));
            sample.judge(&path, chance).await
        }
        Target::Backup => {
            let path = copies.path("backup");
            std::fs::write(&path, spoilt(&sample.backup, damage, chance)).unwrap();
            let master = sample.master();
            let with = Restorer { master: &master, clock: sample.clock(), random: Random };
            let restored = BackupSource::open(&path).and_then(|source| with.verify(source));
            if restored.is_ok() { Verdict::Right } else { Verdict::Refused }
        }
    }
}

// Random damage rarely hits a sealed secret. Here every stored secret is hit, in its text and in its tag.
#[tokio::test]
async fn flipped_byte_of_a_sealed_secret_is_rejected() {
    /// Format, key version, nonce, and the length in front of the text.
    const BEFORE_TEXT: usize = 1 + 4 + 24 + 4;
    let (sample, copies) = (Sample::new().await, Copies::new());
    let file = rusqlite::Connection::open(copies.put(&sample.database, None)).unwrap();
    let mut statement = file.prepare("SELECT user, id, secret FROM credential_secret").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let rows: Vec<(String, String, Vec<u8>)> = rows.map(Result::unwrap).collect();
    assert!(rows.len() > 8, "{}", rows.len());
    for (user, id, sealed) in &rows {
        let start = sample.database.windows(sealed.len()).position(|part| part == sealed).unwrap();
        for at in [BEFORE_TEXT + 6, sealed.len() - 1] {
            let mut damaged = sample.database.clone();
            damaged[start + at] ^= 1;
            let path = copies.put(&damaged, None);
            let vault = Vault::open(&path, &sample.master(), OpenMode::Command, sample.clock(), Random).unwrap();
            let (user, id) = (user.parse().unwrap(), id.parse().unwrap());
            let read = vault.credentials().read_secret(&user, &id, &AuditContext::system()).await;
            assert!(read.is_err_and(|error| error.is_damage()), "byte {at} of the secret of {id}");
        }
    }
}

/// The same bytes, with the damage; never quite the same.
fn spoilt(bytes: &[u8], damage: Damage, chance: &mut Chance) -> Vec<u8> {
    let mut spoilt = bytes.to_vec();
    while spoilt == bytes {
        match damage {
            Damage::Flip => {
                let at = chance.index(spoilt.len());
                spoilt[at] ^= u8::try_from(1 + chance.below(255)).unwrap();
            }
            Damage::Truncation => spoilt.truncate(chance.index(bytes.len())),
            Damage::TornPage => tear(&mut spoilt, chance),
        }
    }
    spoilt
}

/// One half of a page is of another page, or nothing, or noise.
fn tear(bytes: &mut [u8], chance: &mut Chance) {
    let page = |chance: &mut Chance| chance.index(bytes.len().div_ceil(PAGE)) * PAGE;
    let (at, other) = (page(chance) + PAGE / 2 * chance.index(2), page(chance));
    let end = (at + PAGE / 2).min(bytes.len());
    if at >= end {
        return;
    }
    let length = (end - at).min(bytes.len() - other);
    match chance.below(3) {
        0 => bytes[at..end].fill(0),
        1 => bytes.copy_within(other..other + length, at),
        _ => bytes[at..end].iter_mut().for_each(|byte| *byte = chance.next().to_le_bytes()[0]),
    }
}
