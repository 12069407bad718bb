//! The audit log against an attacker with a SQL shell.

use super::AuditFault::{Changed, Cut, Extra, Missing};
use super::*;

/// A vault whose log has exactly ten rows.
async fn ten_rows() -> Bench {
    let bench = Bench::new();
    for number in 1..10 {
        bench.vault.users().add(&user(&format!("u{number}")), &AuditContext::command_line()).await.unwrap();
    }
    bench
}

fn faults(bench: &Bench) -> (Vec<AuditFault>, u64) {
    let mut faults = Vec::new();
    let verdict = bench.vault.audit().verify(&mut |fault| faults.push(fault)).unwrap();
    (faults, verdict.sound)
}

/// A row 0 that is like another one.
const COPY: &str = "INSERT INTO audit SELECT 0, at, action, result, actor, user, provider, credential, subject, address, \
                    request_id, key_version, mac FROM audit WHERE seq = 5";

#[tokio::test]
async fn manipulated_log_is_reported_by_row() {
    assert_eq!(faults(&ten_rows().await), (vec![], 10));
    let changed = |first, last| Changed { first, last };
    let shifted = format!(
        "{COPY}; UPDATE audit SET seq = -seq WHERE seq > 6; UPDATE audit SET seq = 1 - seq WHERE seq < 0;
                           UPDATE audit SET seq = 7 WHERE seq = 0"
    );
    let extra = |seq| Extra { first: seq, last: seq };
    for (sql, expected, sound) in [
        ("UPDATE audit SET user = 'u9' WHERE seq = 4", vec![changed(4, 4)], 9),
        ("UPDATE audit SET at = at - 60 WHERE seq = 1", vec![changed(1, 1)], 9),
        ("UPDATE audit SET result = 'denied' WHERE seq = 10", vec![changed(10, 10)], 9),
        ("UPDATE audit SET actor = 'x' WHERE seq IN (3, 4, 8)", vec![changed(3, 4), changed(8, 8)], 7),
        // The row itself, and the one after it, whose MAC covers this one.
        ("UPDATE audit SET mac = zeroblob(32) WHERE seq = 4", vec![changed(4, 5)], 8),
        ("UPDATE audit SET mac = zeroblob(32) WHERE seq = 10", vec![changed(10, 10)], 9),
        ("UPDATE audit SET action = cast(x'ff' AS TEXT) WHERE seq = 2", vec![changed(2, 2)], 9),
        ("UPDATE audit SET key_version = -1 WHERE seq = 2", vec![changed(2, 2)], 9),
        ("DELETE FROM audit WHERE seq = 1", vec![Missing { first: 1, last: 1 }], 8),
        ("DELETE FROM audit WHERE seq IN (4, 5)", vec![Missing { first: 4, last: 5 }], 7),
        ("DELETE FROM audit WHERE seq > 7", vec![Cut { first: 8, last: 10 }], 7),
        ("DELETE FROM audit", vec![Cut { first: 1, last: 10 }], 0),
        ("DELETE FROM audit WHERE seq = 4; UPDATE audit SET seq = seq - 1 WHERE seq > 4",
            vec![changed(4, 9), Cut { first: 10, last: 10 }], 3),
        (COPY, vec![extra(0)], 10),
        (&format!("{COPY}; UPDATE audit SET seq = 11 WHERE seq = 0"), vec![extra(11)], 10),
        (&format!("{COPY}; UPDATE audit SET seq = -9223372036854775808 WHERE seq = 0"), vec![extra(i64::MIN)], 10),
        (&shifted, vec![changed(7, 10), extra(11)], 6),
        ("CREATE TABLE o AS SELECT * FROM audit; UPDATE audit SET user = (SELECT user FROM o WHERE o.seq = 9 - audit.seq)
          WHERE seq IN (4, 5)", vec![changed(4, 5)], 8),
    ] {
        let bench = ten_rows().await;
        bench.attack(sql);
        assert_eq!(faults(&bench), (expected, sound), "{sql}");
    }
}

#[tokio::test]
async fn older_log_is_rejected() {
    let bench = ten_rows().await;
    bench.attack("CREATE TABLE kept AS SELECT * FROM audit");
    bench.vault.users().add(&user("late"), &AuditContext::command_line()).await.unwrap();
    bench.attack("DELETE FROM audit; INSERT INTO audit SELECT * FROM kept; DROP TABLE kept");
    assert_eq!(faults(&bench), (vec![Cut { first: 11, last: 11 }], 10));
}

/// Ten rows, of which the first five are a hundred days old.
async fn half_old() -> Bench {
    let bench = Bench::new();
    for number in 1..10 {
        if number == 5 {
            bench.clock.advance(Duration::from_secs(100 * 86_400));
        }
        bench.vault.users().add(&user(&format!("u{number}")), &AuditContext::command_line()).await.unwrap();
    }
    bench
}

async fn prune(bench: &Bench, days: u64) -> Result<u64, VaultError> {
    bench
        .vault
        .audit()
        .prune(bench.clock.now().minus(Duration::from_secs(days * 86_400)), &AuditContext::system())
        .await
}

#[tokio::test]
async fn pruned_log_is_whole_and_a_cut_one_is_not() {
    let bench = half_old().await;
    bench.attack("CREATE TABLE kept AS SELECT * FROM audit");
    assert_eq!(prune(&bench, 101).await.unwrap(), 0);
    assert_eq!(
        (faults(&bench), bench.audited("audit.prune")),
        ((vec![], 10), 0),
        "nothing was done, and no row says so"
    );
    assert_eq!(prune(&bench, 50).await.unwrap(), 5);
    bench.vault.users().add(&user("late"), &AuditContext::command_line()).await.unwrap();
    bench.assert_manifest_holds();
    let rows = bench.vault.audit().find(&AuditFilter::default()).unwrap();
    assert_eq!((rows[0].row.seq, rows.len()), (6, 7));
    assert!(rows.iter().all(|row| row.sound));
    assert_eq!((&*rows[5].row.action, rows[5].row.subject.as_deref()), ("audit.prune", Some("rows:1-5")));
    bench.attack("INSERT INTO audit SELECT * FROM kept WHERE seq = 5");
    assert_eq!(faults(&bench), (vec![Extra { first: 5, last: 5 }], 7));
    bench.attack("DELETE FROM audit WHERE seq <= 6");
    assert_eq!(faults(&bench), (vec![Missing { first: 6, last: 6 }], 5));
}

#[tokio::test]
async fn whole_log_can_be_pruned() {
    let bench = ten_rows().await;
    bench.clock.advance(Duration::from_secs(86_400));
    assert_eq!((prune(&bench, 0).await.unwrap(), prune(&bench, 0).await.unwrap()), (10, 0));
    assert_eq!(faults(&bench), (vec![], 1));
    let head = bench.vault.audit().signed_head().unwrap();
    assert_eq!(bench.vault.audit().check_head(&head).unwrap().unwrap(), (HeadFit::Contained, None));
}

#[tokio::test]
async fn manipulated_rows_are_not_pruned() {
    for attack in ["UPDATE audit SET user = 'x' WHERE seq = 3", "DELETE FROM audit WHERE seq = 3"] {
        let bench = half_old().await;
        bench.attack(attack);
        let refused = prune(&bench, 50).await.unwrap_err();
        assert!(matches!(&refused, VaultError::DamagedRow { table: "audit", id, .. } if id == "3"), "{refused}");
        assert_eq!(faults(&bench).0.len(), 1);
    }
}

#[tokio::test]
async fn head_of_a_pruned_row_cannot_be_compared() {
    let bench = half_old().await;
    let head = bench.vault.audit().signed_head().unwrap();
    let fit = || bench.vault.audit().check_head(&head).unwrap().unwrap().0;
    bench.clock.advance(Duration::from_secs(86_400));
    assert_eq!(prune(&bench, 0).await.unwrap(), 10);
    assert_eq!(fit(), HeadFit::Contained, "its row is the last that was removed, and the manifest knows it");
    bench.clock.advance(Duration::from_secs(86_400));
    assert_eq!(prune(&bench, 0).await.unwrap(), 1);
    assert_eq!(fit(), HeadFit::Removed);
}
