//! A kill, or a power cut, in the middle of bringing an older vault up to date leaves the old one or the new one.

use std::collections::BTreeSet;
use std::path::Path;

use crate::support::disk::{Call, Disk, Event, Unsynced};
use crate::support::process::{Finished, Installation};
use rusqlite::Connection;

/// A dump of a vault as an older version wrote it, with its master key in a comment.
struct Older {
    version: u32,
    dump: String,
}

/// Every one that there is.
fn older() -> Vec<Older> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/vault/tests");
    let read = |version| std::fs::read_to_string(folder.join(format!("version_{version}.sql"))).ok();
    (1..).map_while(|version| read(version).map(|dump| Older { version, dump })).collect()
}

impl Older {
    /// Puts it into the installation's place.
    fn put(&self, installation: &Installation) {
        for name in
            ["strongroom.db", "strongroom.db-wal", "strongroom.db-shm", "strongroom.db-journal", "strongroom.key"]
        {
            let _ = std::fs::remove_file(installation.path(name));
        }
        let key = self.dump.lines().find_map(|line| line.strip_prefix("-- srm_")).unwrap();
        std::fs::write(installation.path("strongroom.key"), format!("srm_{key}\n")).unwrap();
        let file = Connection::open(installation.path("strongroom.db")).unwrap();
        file.execute_batch(&self.dump).unwrap();
    }
}

fn version(installation: &Installation) -> u32 {
    let file = Connection::open(installation.path("strongroom.db")).unwrap();
    file.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

/// Any command opens the vault, and so brings it up to date.
fn open(installation: &Installation, disk: &Disk) -> Finished {
    let variables = disk.variables();
    let variables: Vec<(&str, &Path)> = variables.iter().map(|(name, path)| (*name, path.as_path())).collect();
    installation.run_in(&variables, &["credential", "list", "--user", "dev", "--json"])
}

/// Both, in full; else one of them.
fn events(number: usize) -> Vec<Event> {
    match crate::support::campaign(1, 1, 2) {
        1 => vec![if number.is_multiple_of(2) { Event::Before } else { Event::After }],
        _ => vec![Event::Before, Event::After],
    }
}

#[tokio::test]
async fn a_kill_in_the_middle_of_a_migration_leaves_the_old_vault_or_the_new_one() {
    let installation = Installation::new("").await;
    let newest = version(&installation);
    let (mut ends, mut points) = (BTreeSet::new(), 0);
    for older in older().into_iter().filter(|older| older.version < newest) {
        older.put(&installation);
        let disk = Disk::under(installation.folder.path());
        disk.begin_trace();
        let listed = open(&installation, &disk).must_succeed().stdout();
        let calls = disk.end_trace().len();
        let step = usize::try_from(crate::support::campaign(10, 4, 1)).unwrap();
        let first = usize::try_from(older.version).unwrap();
        for number in (first..=calls).step_by(step) {
            for event in events(number) {
                older.put(&installation);
                disk.settle();
                disk.arm(event, &Call::ALL, "", u32::try_from(number).unwrap());
                open(&installation, &disk);
                let place = format!("version {}, {event:?} {}", older.version, disk.call());
                if !disk.disarm() {
                    // The last call of a run may be one earlier than of the run that was watched.
                    assert!(number + 3 > calls, "{place}: there is no call {number} of {calls}");
                    continue;
                }
                match number / 2 % 2 {
                    0 => disk.settle(),
                    _ => disk.power_up(Unsynced::Torn(number as u64)),
                }
                let found = version(&installation);
                assert!(found == older.version || found == newest, "{place}: {found}");
                ends.insert(found == newest);
                assert_eq!(open(&installation, &disk).must_succeed().stdout(), listed, "{place}");
                installation.run(&["audit", "verify"]).must_succeed();
                assert_eq!(version(&installation), newest, "{place}");
                points += 1;
            }
        }
    }
    println!("{points} kills");
    assert_eq!(ends.len(), 2, "some have to come before the commit, and some after it");
}
