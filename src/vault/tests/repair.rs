//! Taking what is damaged out: what may be erased, and when what is left is the whole.

use super::damage::three;
use super::*;

#[tokio::test]
async fn what_cannot_be_read_just_now_is_not_erased_as_damaged() {
    let bench = Bench::new();
    let [first, ..] = three(&bench).await;
    // A failure that is no damage of the row: under this schema no statement finds its secret.
    bench.attack("ALTER TABLE credential_secret RENAME COLUMN secret TO elsewhere");
    let refused = bench.vault.remove_damaged(&first.id, &AuditContext::command_line()).await;
    assert!(matches!(refused, Err(VaultError::DoesNotHold { .. })), "{refused:?}");
    bench.attack("ALTER TABLE credential_secret RENAME COLUMN elsewhere TO secret");
    assert!(bench.read(&first).await.is_some());
}

#[tokio::test]
async fn a_damaged_credential_is_erased_and_the_manifest_holds_for_the_rest() {
    for change in [
        "UPDATE credential SET summary = randomblob(109)",
        "UPDATE credential SET revision = 7",
        "UPDATE credential SET data_key = -1",
        "UPDATE credential_secret SET secret = randomblob(3)",
        "DELETE FROM credential_secret",
        "DELETE FROM credential",
    ] {
        let bench = Bench::new();
        let [first, second, _] = three(&bench).await;
        let who = AuditContext::command_line();
        assert_eq!(bench.vault.remove_damaged(&first.id, &who).await.unwrap(), DamagedRemoval::Sound, "{change}");
        bench.attack(&format!("PRAGMA foreign_keys = OFF; {change} WHERE id = '{}'", first.id));
        assert!(!bench.vault.verify().unwrap().holds(), "{change}");
        let removed = bench.vault.remove_damaged(&first.id, &who).await.unwrap();
        assert_eq!(removed, DamagedRemoval::Done { holds: true }, "{change}");
        assert_eq!(bench.vault.verify().unwrap().findings, [], "{change}");
        assert_eq!(bench.vault.list(&first.user, None, CredentialPage::default()).unwrap().len(), 1);
        assert!(bench.read(&second).await.is_some());
        let again = bench.vault.remove_damaged(&first.id, &who).await.unwrap();
        assert_eq!(again, DamagedRemoval::Absent, "{change}");
    }
}

#[tokio::test]
async fn erasing_a_damaged_credential_covers_up_nothing_else() {
    let bench = Bench::new();
    let [first, second, third] = three(&bench).await;
    bench.attack(&format!(
        "UPDATE credential SET revision = 7 WHERE id = '{}';
         DELETE FROM credential_secret WHERE id = '{}'; DELETE FROM credential WHERE id = '{}'",
        first.id, second.id, second.id
    ));
    let removed = bench.vault.remove_damaged(&first.id, &AuditContext::command_line()).await.unwrap();
    assert_eq!(removed, DamagedRemoval::Done { holds: false });
    let named = bench.vault.verify().unwrap().findings;
    assert!(named.iter().any(|found| found.row == second.id.to_string()), "{named:?}");
    assert!(bench.read(&third).await.is_some());
}

/// A login that is begun by alice, two revocations, a registration and a key of our own.
async fn passing(bench: &Bench) {
    let who = AuditContext::system();
    for state in ["sound", "damaged"] {
        bench.vault.put_pending(state, super::pending::login(bench, "alice"), &who).await.unwrap();
        let stored = bench.connect("alice", Some(state)).await;
        bench.delete(&stored, RevocationScope::Token).await.unwrap();
    }
    let at = RegisteredAt { issuer: "https://a.example".into(), redirect_uri: "https://b.example".into() };
    let client = ClientRegistration {
        client_id: "c".into(),
        client_secret: None,
        secret_expires_at: None,
        token_auth: "none".into(),
    };
    bench.vault.put_registration(&at, client, None, &who).await.unwrap();
    bench.vault.ensure_signing_key(&who).await.unwrap();
}

async fn repair(bench: &Bench, rest: Rest) -> Repair {
    bench.vault.repair(rest, &AuditContext::command_line()).await.unwrap()
}

/// Tables whose rows can be done without, the columns of their keys, and how many of two are left when one is erased.
const PASSING: [(&str, &str, i64); 4] = [
    ("pending_authorization", "state_hash", 1),
    ("revocation", "id", 1),
    ("client_registration", "lookup", 0),
    ("signing_key", "id", 0),
];

fn change_one(table: &str, key: &str, change: &str) -> String {
    format!("UPDATE {table} SET {change} WHERE {key} = (SELECT max({key}) FROM {table})")
}

fn count(bench: &Bench, table: &str) -> i64 {
    let connection = Connection::open(bench.path()).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn what_can_be_done_without_is_erased_where_it_is_damaged_and_nothing_else_is() {
    for (table, key, left) in PASSING {
        for change in [
            "revision = 7".to_owned(),
            "data_key = -1".to_owned(),
            "sealed = randomblob(109)".to_owned(),
            // A key of which nothing can be made; what is a hash has to have its length.
            format!("{key} = CAST(x'{}' AS {})", "ff".repeat(32), if key == "id" { "TEXT" } else { "BLOB" }),
        ] {
            let bench = Bench::new();
            let [first, ..] = three(&bench).await;
            passing(&bench).await;
            let nothing = repair(&bench, Rest::Doubted).await;
            assert_eq!(nothing, Repair { erased: Vec::new(), accepted: Vec::new(), holds: true });
            bench.attack(&change_one(table, key, &change));
            assert!(!bench.vault.verify().unwrap().holds(), "{table} {change}");
            let done = repair(&bench, Rest::Doubted).await;
            assert!(matches!(&done.erased[..], [one] if one.table == table), "{table} {change}: {:?}", done.erased);
            // Whether what was erased is what was counted cannot be told any more.
            assert!(!done.holds && !bench.vault.verify().unwrap().holds(), "{table} {change}");
            let done = repair(&bench, Rest::Accepted).await;
            assert_eq!((done.erased.len(), done.accepted.len(), done.holds), (0, 0, true), "{table} {change}");
            assert_eq!(bench.vault.verify().unwrap().findings, [], "{table} {change}");
            assert_eq!(bench.audited("vault.repair"), 2, "the row, and that what is left was accepted");
            assert_eq!(count(&bench, table), left, "{table} {change}");
            assert_eq!((count(&bench, "credential"), count(&bench, "user")), (3, 2), "{table} {change}");
            assert!(bench.read(&first).await.is_some());
        }
    }
}

#[tokio::test]
async fn damage_of_what_is_not_counted_is_shown_to_be_all_and_needs_no_faith() {
    for (table, key, left) in PASSING {
        let bench = Bench::new();
        passing(&bench).await;
        let column = if table == "revocation" { "not_before" } else { "created_at" };
        bench.attack(&change_one(table, key, &format!("{column} = 7")));
        let done = repair(&bench, Rest::Doubted).await;
        assert_eq!((done.erased.len(), done.holds), (1, true), "{table}");
        assert_eq!(bench.vault.verify().unwrap().findings, [], "{table}");
        assert_eq!(count(&bench, table), left, "{table}");
    }
}

#[tokio::test]
async fn what_somebody_put_there_is_erased_and_the_manifest_is_as_it_was() {
    let bench = Bench::new();
    passing(&bench).await;
    bench.attack(GARBAGE);
    let done = repair(&bench, Rest::Doubted).await;
    assert_eq!((done.erased.len(), done.holds), (1, true));
    assert_eq!(bench.vault.verify().unwrap().findings, []);
}

/// A revocation that nobody queued.
const GARBAGE: &str =
    "INSERT INTO revocation SELECT 'x', user, provider, credential, 0, 0, 0, 1, 1, sealed FROM revocation LIMIT 1";

#[tokio::test]
async fn what_somebody_put_there_pays_for_nothing_that_is_missing() {
    let bench = Bench::new();
    passing(&bench).await;
    bench.attack(GARBAGE);
    bench.attack(
        "DELETE FROM pending_authorization WHERE state_hash = (SELECT max(state_hash) FROM pending_authorization)",
    );
    let done = repair(&bench, Rest::Doubted).await;
    assert_eq!((done.erased.len(), done.holds), (1, false));
    assert!(!bench.vault.verify().unwrap().holds());
}

#[tokio::test]
async fn a_forged_log_lends_no_faith() {
    let bench = Bench::new();
    let [first, second, _] = three(&bench).await;
    bench.attack(&format!(
        "INSERT INTO audit SELECT 1000000, at, 'credential.delete', result, actor, user, provider, '{second}', NULL, address,
             request_id, key_version, mac FROM audit WHERE credential = '{second}';
         DELETE FROM credential_secret WHERE id = '{second}'; DELETE FROM credential WHERE id = '{second}';
         INSERT INTO credential SELECT user, 'y', provider, kind, status, in_doubt, created_at, updated_at, expires_at,
             last_used_at, refresh_at, revision, secret_revision, data_key, summary FROM credential WHERE id = '{first}';
         INSERT INTO credential_secret SELECT user, 'y', revision, data_key, secret FROM credential_secret WHERE id = '{first}';
         UPDATE credential SET revision = 9 WHERE id = '{first}'",
        first = first.id,
        second = second.id
    ));
    let removed = bench.vault.remove_damaged(&first.id, &AuditContext::command_line()).await.unwrap();
    assert_eq!(removed, DamagedRemoval::Done { holds: false });
    bench.attack("DELETE FROM audit WHERE seq = 1000000");
    let named = bench.vault.verify().unwrap().findings;
    assert!(named.iter().any(|found| found.row == second.id.to_string()), "{named:?}");
}

#[tokio::test]
async fn of_several_that_are_damaged_the_last_one_closes_the_account() {
    let bench = Bench::new();
    let [first, second, third] = three(&bench).await;
    bench.attack(&format!(
        "UPDATE credential SET revision = 7 WHERE id = '{}'; UPDATE credential SET data_key = -1 WHERE id = '{}'",
        first.id, second.id
    ));
    let who = AuditContext::command_line();
    assert_eq!(bench.vault.remove_damaged(&first.id, &who).await.unwrap(), DamagedRemoval::Done { holds: false });
    assert!(!bench.vault.verify().unwrap().holds());
    assert_eq!(bench.vault.remove_damaged(&second.id, &who).await.unwrap(), DamagedRemoval::Done { holds: true });
    assert_eq!(bench.vault.verify().unwrap().findings, []);
    assert!(bench.read(&third).await.is_some());
}

#[tokio::test]
async fn where_the_log_cannot_be_read_a_damaged_credential_can_be_erased_all_the_same() {
    let bench = Bench::new();
    let [first, second, _] = three(&bench).await;
    bench.attack(&format!(
        "UPDATE audit SET action = CAST(x'70ff' AS TEXT) WHERE seq = 2; UPDATE credential SET revision = 7 WHERE id = '{}'",
        first.id
    ));
    let removed = bench.vault.remove_damaged(&first.id, &AuditContext::command_line()).await.unwrap();
    assert_eq!(removed, DamagedRemoval::Done { holds: false });
    assert!(bench.read(&second).await.is_some());
}

#[tokio::test]
async fn where_the_schema_was_changed_nothing_is_taken_for_damaged() {
    let bench = Bench::new();
    let [first, ..] = three(&bench).await;
    passing(&bench).await;
    bench.attack(
        "ALTER TABLE pending_authorization RENAME COLUMN user TO other;
         ALTER TABLE pending_authorization RENAME COLUMN provider TO user;
         ALTER TABLE pending_authorization RENAME COLUMN other TO provider",
    );
    let refused = bench.vault.repair(Rest::Accepted, &AuditContext::command_line()).await;
    assert!(matches!(refused, Err(VaultError::DoesNotHold { .. })), "{refused:?}");
    let refused = bench.vault.remove_damaged(&first.id, &AuditContext::command_line()).await;
    assert!(matches!(refused, Err(VaultError::DoesNotHold { .. })), "{refused:?}");
    assert_eq!(count(&bench, "pending_authorization"), 2);
}

#[tokio::test]
async fn what_does_not_open_is_not_accepted_and_what_is_accepted_is_told() {
    let bench = Bench::new();
    let [first, second, third] = three(&bench).await;
    passing(&bench).await;
    bench.attack(&format!(
        "UPDATE pending_authorization SET revision = 7; UPDATE credential SET revision = 9 WHERE id = '{first}';
         DELETE FROM credential_secret WHERE id = '{second}'; DELETE FROM credential WHERE id = '{second}'",
        first = first.id,
        second = second.id
    ));
    let who = AuditContext::command_line();
    let refused = bench.vault.repair(Rest::Accepted, &who).await;
    assert!(matches!(refused, Err(VaultError::DoesNotHold { .. })), "{refused:?}");
    assert_eq!(count(&bench, "pending_authorization"), 2, "nothing was changed");
    assert_eq!(bench.vault.remove_damaged(&first.id, &who).await.unwrap(), DamagedRemoval::Done { holds: false });
    let done = repair(&bench, Rest::Accepted).await;
    assert_eq!((done.erased.len(), done.holds), (2, true));
    assert!(matches!(&done.accepted[..], [one] if one.row == second.id.to_string()), "{:?}", done.accepted);
    assert_eq!(bench.vault.verify().unwrap().findings, []);
    assert_eq!(bench.audited("credential.delete"), 4, "those of the vault's own, and the one that was missing");
    assert!(bench.read(&third).await.is_some());
}

#[tokio::test]
async fn a_repair_covers_up_nothing_that_was_put_back() {
    let bench = Bench::new();
    let [first, second, _] = three(&bench).await;
    passing(&bench).await;
    put_back(&bench, &second).await;
    bench.attack("UPDATE pending_authorization SET revision = 7");
    let done = repair(&bench, Rest::Doubted).await;
    assert_eq!((done.erased.len(), done.holds), (2, false));
    let named = bench.vault.verify().unwrap().findings;
    assert!(named.iter().any(|found| found.row == second.id.to_string()), "{named:?}");
    assert!(named.iter().all(|found| found.row != first.id.to_string()), "{named:?}");
}

#[tokio::test]
async fn erasing_a_damaged_credential_covers_up_nothing_that_was_put_back() {
    let bench = Bench::new();
    let [first, second, _] = three(&bench).await;
    put_back(&bench, &second).await;
    bench.attack(&format!("UPDATE credential SET updated_at = 7 WHERE id = '{}'", first.id));
    let removed = bench.vault.remove_damaged(&first.id, &AuditContext::command_line()).await.unwrap();
    assert_eq!(removed, DamagedRemoval::Done { holds: false });
    let named = bench.vault.verify().unwrap().findings;
    assert!(named.iter().any(|found| found.row == second.id.to_string()), "{named:?}");
}

/// Changes a credential's secret, and puts both of its records back to what they were before.
async fn put_back(bench: &Bench, of: &CredentialMetadata) {
    bench.attack("CREATE TABLE c AS SELECT * FROM credential; CREATE TABLE s AS SELECT * FROM credential_secret");
    bench.replace(of, new("alice", "p", api_key("newer"))).await.unwrap();
    bench.attack(&format!(
        "PRAGMA foreign_keys = OFF; DELETE FROM credential WHERE id = '{id}'; DELETE FROM credential_secret WHERE id = '{id}';
         INSERT INTO credential SELECT * FROM c WHERE id = '{id}';
         INSERT INTO credential_secret SELECT * FROM s WHERE id = '{id}'; DROP TABLE c; DROP TABLE s",
        id = of.id
    ));
}

#[tokio::test]
async fn a_damaged_credential_that_was_given_to_somebody_else_is_erased_for_good() {
    let bench = Bench::new();
    let [first, ..] = three(&bench).await;
    bench.attack(&format!(
        "PRAGMA foreign_keys = OFF; UPDATE credential SET user = 'bob' WHERE id = '{id}';
         UPDATE credential_secret SET user = 'bob' WHERE id = '{id}'",
        id = first.id
    ));
    let removed = bench.vault.remove_damaged(&first.id, &AuditContext::command_line()).await.unwrap();
    assert_eq!(removed, DamagedRemoval::Done { holds: true });
    assert_eq!(bench.vault.verify().unwrap().findings, []);
}

#[tokio::test]
async fn a_damaged_revocation_keeps_no_other_from_being_seen() {
    for change in ["revision = 7", "attempts = -1", "credential = 'x'", "user = CAST(x'70ff' AS TEXT)"] {
        let bench = Bench::new();
        passing(&bench).await;
        bench.attack(&format!("UPDATE revocation SET {change} WHERE id = (SELECT max(id) FROM revocation)"));
        let queue = bench.vault.revocations(|_| true, CredentialPage::default()).unwrap();
        assert_eq!((queue.waiting.len(), queue.damaged.len(), queue.more), (1, 1, false), "{change}");
    }
}

#[tokio::test]
async fn a_page_of_revocations_goes_on_behind_one_that_cannot_be_read() {
    let bench = Bench::new();
    passing(&bench).await;
    // Three of one credential, of which the second cannot be read; the third is a copy that opens as little.
    bench.attack(
        "INSERT INTO revocation SELECT 'zz' || id, user, provider, credential, -1, 0, 0, 1, 1, sealed FROM revocation
             ORDER BY credential LIMIT 1",
    );
    let (mut after, mut seen) = (None, 0);
    for _ in 0..4 {
        let queue = bench.vault.revocations(|_| true, CredentialPage { limit: Some(1), after }).unwrap();
        seen += queue.waiting.len();
        after = queue.waiting.last().map(|last| last.credential_id);
        if !queue.more {
            break;
        }
    }
    assert_eq!(seen, 2);
}

#[tokio::test]
async fn a_forged_log_lowers_no_count_for_the_next_removal() {
    let bench = Bench::new();
    let [first, second, _] = three(&bench).await;
    passing(&bench).await;
    let stray = "01900000-0000-7000-8000-000000000000";
    bench.attack(&format!(
        "INSERT INTO audit SELECT 1000000, at, 'credential.create', result, actor, user, provider, '{stray}', 'revision:1.1', address,
             request_id, key_version, mac FROM audit WHERE credential = '{first}';
         INSERT INTO credential SELECT user, '{stray}', provider, kind, status, in_doubt, created_at, updated_at, expires_at,
             last_used_at, refresh_at, revision, secret_revision, data_key, summary FROM credential WHERE id = '{first}';
         DELETE FROM revocation;
         UPDATE credential SET revision = 9 WHERE id = '{second}'",
        first = first.id,
        second = second.id
    ));
    let who = AuditContext::command_line();
    let removed = bench.vault.remove_damaged(&stray.parse().unwrap(), &who).await.unwrap();
    assert_eq!(removed, DamagedRemoval::Done { holds: false });
    bench.attack("DELETE FROM audit WHERE seq = 1000000");
    let removed = bench.vault.remove_damaged(&second.id, &who).await.unwrap();
    assert_eq!(removed, DamagedRemoval::Done { holds: false });
}

#[tokio::test]
async fn a_stray_secret_under_the_id_of_a_sound_credential_is_erased_and_the_credential_stays() {
    let bench = Bench::new();
    let [first, ..] = three(&bench).await;
    bench.attack(
        "PRAGMA foreign_keys = OFF; INSERT INTO credential_secret SELECT 'zzz', id, revision, data_key, secret
                  FROM credential_secret WHERE user = 'alice' ORDER BY id LIMIT 1",
    );
    assert!(!bench.vault.verify().unwrap().holds());
    let removed = bench.vault.remove_damaged(&first.id, &AuditContext::command_line()).await.unwrap();
    assert_eq!(removed, DamagedRemoval::Done { holds: true });
    assert_eq!(bench.vault.verify().unwrap().findings, []);
    assert!(bench.read(&first).await.is_some());
}

#[tokio::test]
async fn what_does_not_hold_elsewhere_is_not_called_whole() {
    for damage in ["DELETE FROM api_key", "UPDATE credential SET status = 'needs_reauth'"] {
        let bench = Bench::new();
        three(&bench).await;
        super::api_keys::make(&bench.vault, KeyHolder::User(user("alice"))).await;
        passing(&bench).await;
        bench.attack(&format!("{damage}; UPDATE revocation SET not_before = 7"));
        let done = repair(&bench, Rest::Doubted).await;
        assert_eq!((done.erased.len(), done.holds), (2, false), "{damage}");
    }
}

#[tokio::test]
async fn what_somebody_wrote_into_a_key_gets_into_no_log() {
    let bench = Bench::new();
    passing(&bench).await;
    bench.attack(&change_one("revocation", "id", "id = 'zz\u{1b}[2J' || hex(zeroblob(5000))"));
    let done = repair(&bench, Rest::Doubted).await;
    assert!(
        matches!(&done.erased[..], [one] if one.row.starts_with("7a7a1b5b324a") && one.row.len() == 64),
        "{done:?}"
    );
}
