//! Repair: which rows it erases, and when the manifest misses more than these.

use super::damage::three;
use super::*;

async fn plan(bench: &Bench) -> Result<Repair, VaultError> {
    bench.vault.integrity().plan_repair(&AuditContext::command_line()).await
}

/// Carries out a repair, the rest included, and returns what it did.
async fn repair(bench: &Bench) -> Repair {
    let plan = plan(bench).await.unwrap();
    bench.vault.integrity().repair(&plan, &AuditContext::command_line()).await.unwrap();
    plan
}

fn names(findings: &[IntegrityFinding], row: &CredentialId) -> bool {
    findings.iter().any(|found| found.row == row.to_string())
}

/// A login that is begun by alice, two revocations, a registration and a key of our own.
async fn passing(bench: &Bench) {
    let who = AuditContext::system();
    for state in ["sound", "damaged"] {
        bench.vault.logins().begin(state, super::pending::login(bench, "alice"), &who).await.unwrap();
        let stored = bench.connect("alice", Some(state)).await;
        bench.delete(&stored, RevocationScope::Token).await.unwrap();
    }
    let at = RegisteredAt { issuer: "https://a.example".into(), redirect_uri: "https://b.example".into() };
    let client = ClientRegistration {
        client_id: "c".into(),
        client_secret: None,
        secret_expires_at: None,
        token_auth: "none".into(),
        redirect_uri: None,
        management: None,
    };
    bench.vault.registrations().put(&at, client, None, &who).await.unwrap();
    bench.vault.signing_keys().ensure(&who).await.unwrap();
    let (asking, _) = super::api_keys::make(&bench.vault, KeyHolder::User(user("alice"))).await;
    super::approvals::pending(&bench.vault, super::approvals::request(asking.id, 1)).await;
}

/// Tables whose rows can be done without, the columns of their keys, and how many of two are left when one is erased.
const PASSING: [(&str, &str, i64); 5] = [
    ("pending_authorization", "state_hash", 1),
    ("revocation", "id", 1),
    ("client_registration", "lookup", 0),
    ("signing_key", "id", 0),
    ("approval", "id", 0),
];

fn change_one(table: &str, key: &str, change: &str) -> String {
    format!("UPDATE {table} SET {change} WHERE {key} = (SELECT max({key}) FROM {table})")
}

fn count(bench: &Bench, table: &str) -> i64 {
    let connection = Connection::open(bench.path()).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

#[tokio::test]
async fn damaged_credential_is_erased_and_the_manifest_holds() {
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
        assert!(plan(&bench).await.unwrap().is_empty(), "{change}");
        bench.attack(&format!("PRAGMA foreign_keys = OFF; {change} WHERE id = '{}'", first.id));
        assert!(!bench.vault.integrity().verify().unwrap().holds(), "{change}");
        let done = repair(&bench).await;
        assert!(
            names(&done.damaged, &first.id) && done.damaged.len() == 1 && done.rest.is_empty(),
            "{change}: {done:?}"
        );
        assert_eq!(bench.vault.integrity().verify().unwrap().findings, [], "{change}");
        assert_eq!(bench.vault.credentials().list(&first.user, None, CredentialPage::default()).unwrap().len(), 1);
        assert!(bench.read(&second).await.is_some());
        assert_eq!((bench.audited("vault.repair"), bench.audited("credential.delete")), (1, 1), "{change}");
        assert!(plan(&bench).await.unwrap().is_empty(), "{change}");
    }
}

#[tokio::test]
async fn plan_changes_nothing() {
    let bench = Bench::new();
    let [first, ..] = three(&bench).await;
    passing(&bench).await;
    bench.attack("UPDATE pending_authorization SET revision = 7; UPDATE credential SET revision = 9");
    let epoch = || bench.vault.status().unwrap().audit;
    let before = (count(&bench, "credential"), count(&bench, "pending_authorization"), epoch());
    assert_eq!(plan(&bench).await.unwrap().damaged.len(), 5);
    assert_eq!((count(&bench, "credential"), count(&bench, "pending_authorization"), epoch()), before);
    assert!(bench.vault.credentials().get(&first.user, &first.id).is_err());
}

#[tokio::test]
async fn vault_that_changed_since_the_plan_is_not_repaired() {
    let bench = Bench::new();
    let [first, second, _] = three(&bench).await;
    bench.attack(&format!("UPDATE credential SET revision = 7 WHERE id = '{}'", first.id));
    let old = plan(&bench).await.unwrap();
    bench.attack(&format!("UPDATE credential SET revision = 7 WHERE id = '{}'", second.id));
    let refused = bench.vault.integrity().repair(&old, &AuditContext::command_line()).await;
    assert!(matches!(refused, Err(VaultError::Contended)), "{refused:?}");
    assert_eq!(count(&bench, "credential"), 3);
}

#[tokio::test]
async fn copy_has_the_damaged_rows_and_is_for_its_owner_alone() {
    use std::os::unix::fs::MetadataExt as _;

    let bench = Bench::new();
    three(&bench).await;
    bench.attack("UPDATE credential SET revision = 7");
    let copy = bench.vault.integrity().copy_before_repair().unwrap();
    assert_eq!(std::fs::metadata(&copy).unwrap().mode() & 0o777, 0o600);
    let rows = "SELECT count(*) FROM credential WHERE revision = 7";
    assert_eq!(Connection::open(&copy).unwrap().query_row(rows, [], |row| row.get::<_, i64>(0)).unwrap(), 3);
}

#[tokio::test]
async fn missing_credential_is_not_covered_up() {
    let bench = Bench::new();
    let [first, second, third] = three(&bench).await;
    bench.attack(&format!(
        "UPDATE credential SET revision = 7 WHERE id = '{}';
         DELETE FROM credential_secret WHERE id = '{}'; DELETE FROM credential WHERE id = '{}'",
        first.id, second.id, second.id
    ));
    let plan = plan(&bench).await.unwrap();
    assert!(names(&plan.damaged, &first.id) && names(&plan.rest, &second.id), "{plan:?}");
    assert!(bench.read(&third).await.is_some());
}

#[tokio::test]
async fn other_damaged_rows_are_erased_and_nothing_else_is() {
    for (table, key, left) in PASSING {
        for change in [
            "revision = 7".to_owned(),
            "data_key = -1".to_owned(),
            "sealed = randomblob(109)".to_owned(),
            // A key that is no text; a hash has to have its length.
            format!("{key} = CAST(x'{}' AS {})", "ff".repeat(32), if key == "id" { "TEXT" } else { "BLOB" }),
        ] {
            let bench = Bench::new();
            let [first, ..] = three(&bench).await;
            passing(&bench).await;
            bench.attack(&change_one(table, key, &change));
            assert!(!bench.vault.integrity().verify().unwrap().holds(), "{table} {change}");
            let done = repair(&bench).await;
            assert!(matches!(&done.damaged[..], [one] if one.table == table), "{table} {change}: {done:?}");
            // It is not known whether the erased row is the one that was counted.
            assert_eq!(done.rest.len(), 1, "{table} {change}: {done:?}");
            assert_eq!(bench.vault.integrity().verify().unwrap().findings, [], "{table} {change}");
            assert_eq!(bench.audited("vault.repair"), 1);
            assert_eq!(count(&bench, table), left, "{table} {change}");
            assert_eq!((count(&bench, "credential"), count(&bench, "user")), (3, 2), "{table} {change}");
            assert!(bench.read(&first).await.is_some());
        }
    }
}

#[tokio::test]
async fn damage_of_uncounted_columns_leaves_no_rest() {
    for (table, key, left) in PASSING {
        let bench = Bench::new();
        passing(&bench).await;
        let column = if table == "revocation" { "not_before" } else { "created_at" };
        bench.attack(&change_one(table, key, &format!("{column} = 7")));
        let done = repair(&bench).await;
        assert_eq!((done.damaged.len(), done.rest.len()), (1, 0), "{table}");
        assert_eq!(bench.vault.integrity().verify().unwrap().findings, [], "{table}");
        assert_eq!(count(&bench, table), left, "{table}");
    }
}

#[tokio::test]
async fn inserted_row_is_erased_and_leaves_no_rest() {
    let bench = Bench::new();
    passing(&bench).await;
    bench.attack(GARBAGE);
    let done = repair(&bench).await;
    assert_eq!((done.damaged.len(), done.rest.len()), (1, 0));
    assert_eq!(bench.vault.integrity().verify().unwrap().findings, []);
}

/// A revocation that was never queued.
const GARBAGE: &str =
    "INSERT INTO revocation SELECT 'x', user, provider, credential, 0, 0, 0, 1, 1, sealed FROM revocation LIMIT 1";

#[tokio::test]
async fn inserted_row_does_not_make_up_for_a_missing_one() {
    let bench = Bench::new();
    passing(&bench).await;
    bench.attack(GARBAGE);
    bench.attack(
        "DELETE FROM pending_authorization WHERE state_hash = (SELECT max(state_hash) FROM pending_authorization)",
    );
    let plan = plan(&bench).await.unwrap();
    assert_eq!((plan.damaged.len(), plan.rest.len()), (1, 1));
}

#[tokio::test]
async fn several_credentials_are_erased_at_once() {
    let bench = Bench::new();
    let [first, second, third] = three(&bench).await;
    bench.attack(&format!(
        "UPDATE credential SET revision = 7 WHERE id = '{}'; UPDATE credential SET data_key = -1 WHERE id = '{}'",
        first.id, second.id
    ));
    let done = repair(&bench).await;
    assert_eq!((done.damaged.len(), done.rest.len()), (2, 0));
    assert_eq!(bench.vault.integrity().verify().unwrap().findings, []);
    assert!(bench.read(&third).await.is_some());
}

#[tokio::test]
async fn nothing_is_repaired_if_log_keys_users_or_schema_do_not_hold() {
    for damage in [
        "UPDATE audit SET action = CAST(x'70ff' AS TEXT) WHERE seq = 2",
        "INSERT INTO audit SELECT 1000000, at, 'credential.delete', result, actor, user, provider, credential, NULL, address,
             request_id, key_version, mac FROM audit WHERE seq = 3",
        "DELETE FROM api_key",
        "UPDATE user SET revision = 7",
        "ALTER TABLE credential_secret RENAME COLUMN secret TO elsewhere",
        "ALTER TABLE pending_authorization RENAME COLUMN user TO other;
         ALTER TABLE pending_authorization RENAME COLUMN provider TO user;
         ALTER TABLE pending_authorization RENAME COLUMN other TO provider",
    ] {
        let bench = Bench::new();
        three(&bench).await;
        super::api_keys::make(&bench.vault, KeyHolder::User(user("alice"))).await;
        passing(&bench).await;
        bench.attack(&format!("UPDATE revocation SET not_before = 7; {damage}"));
        let refused = plan(&bench).await;
        assert!(matches!(refused, Err(VaultError::DoesNotHold { .. })), "{damage}: {refused:?}");
        assert_eq!((count(&bench, "revocation"), count(&bench, "credential")), (2, 3), "{damage}");
    }
}

#[tokio::test]
async fn more_than_half_of_a_table_is_not_repaired() {
    let bench = Bench::new();
    three(&bench).await;
    for _ in 0..4 {
        bench.add("alice", "p", api_key("k")).await;
    }
    bench.attack("UPDATE credential SET revision = 9 WHERE id IN (SELECT id FROM credential LIMIT 4)");
    let refused = plan(&bench).await;
    assert!(matches!(&refused, Err(VaultError::DoesNotHold { first, .. }) if first.contains("4 of 7")), "{refused:?}");
}

#[tokio::test]
async fn accepted_rest_is_taken_as_deleted() {
    let bench = Bench::new();
    let [first, second, third] = three(&bench).await;
    passing(&bench).await;
    bench.attack(&format!(
        "UPDATE pending_authorization SET revision = 7; UPDATE credential SET revision = 9 WHERE id = '{first}';
         DELETE FROM credential_secret WHERE id = '{second}'; DELETE FROM credential WHERE id = '{second}'",
        first = first.id,
        second = second.id
    ));
    let done = repair(&bench).await;
    assert!(done.damaged.len() == 3 && names(&done.rest, &second.id), "{done:?}");
    assert_eq!(bench.vault.integrity().verify().unwrap().findings, []);
    assert_eq!(bench.audited("credential.delete"), 4, "two by their user, one erased, one missing");
    assert!(bench.read(&third).await.is_some());
}

#[tokio::test]
async fn replayed_credential_is_not_covered_up() {
    for damage in ["UPDATE pending_authorization SET revision = 7", "UPDATE credential SET updated_at = 7 WHERE id = ?"]
    {
        let bench = Bench::new();
        let [first, second, _] = three(&bench).await;
        passing(&bench).await;
        put_back(&bench, &second).await;
        bench.attack(&damage.replace('?', &format!("'{}'", first.id)));
        let plan = plan(&bench).await.unwrap();
        assert!(names(&plan.rest, &second.id) && !names(&plan.rest, &first.id), "{plan:?}");
    }
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
async fn credential_given_to_another_user_is_erased() {
    let bench = Bench::new();
    let [first, ..] = three(&bench).await;
    bench.attack(&format!(
        "PRAGMA foreign_keys = OFF; UPDATE credential SET user = 'bob' WHERE id = '{id}';
         UPDATE credential_secret SET user = 'bob' WHERE id = '{id}'",
        id = first.id
    ));
    let done = repair(&bench).await;
    assert_eq!((done.damaged.len(), done.rest.len()), (1, 0), "{done:?}");
    assert_eq!(bench.vault.integrity().verify().unwrap().findings, []);
}

#[tokio::test]
async fn stray_secret_is_erased_and_the_credential_of_its_id_stays() {
    let bench = Bench::new();
    let [first, ..] = three(&bench).await;
    bench.attack(
        "PRAGMA foreign_keys = OFF; INSERT INTO credential_secret SELECT 'zzz', id, revision, data_key, secret
                  FROM credential_secret WHERE user = 'alice' ORDER BY id LIMIT 1",
    );
    assert!(!bench.vault.integrity().verify().unwrap().holds());
    let done = repair(&bench).await;
    assert_eq!((done.damaged.len(), done.rest.len()), (1, 0), "{done:?}");
    assert_eq!(bench.vault.integrity().verify().unwrap().findings, []);
    assert!(bench.read(&first).await.is_some());
}

#[tokio::test]
async fn text_of_an_attacker_gets_into_no_report() {
    let bench = Bench::new();
    passing(&bench).await;
    bench.attack(&change_one("revocation", "id", "id = 'zz\u{1b}[2J' || hex(zeroblob(5000))"));
    let done = repair(&bench).await;
    assert!(
        matches!(&done.damaged[..], [one] if one.row.starts_with("7a7a1b5b324a") && one.row.len() == 64),
        "{done:?}"
    );
}

#[tokio::test]
async fn a_damaged_revocation_keeps_no_other_from_being_seen() {
    for change in ["revision = 7", "attempts = -1", "credential = 'x'", "user = CAST(x'70ff' AS TEXT)"] {
        let bench = Bench::new();
        passing(&bench).await;
        bench.attack(&format!("UPDATE revocation SET {change} WHERE id = (SELECT max(id) FROM revocation)"));
        let queue = bench.vault.revocations().list(|_, _, _| true, None, None).unwrap();
        assert_eq!((queue.waiting.len(), queue.damaged.len(), queue.more), (1, 1, false), "{change}");
    }
}

#[tokio::test]
async fn a_page_of_revocations_goes_on_behind_one_that_cannot_be_read() {
    let bench = Bench::new();
    passing(&bench).await;
    // Three of one credential, of which the second cannot be read; the third is a copy that opens
    // as little.
    bench.attack(
        "INSERT INTO revocation SELECT 'zz' || id, user, provider, credential, -1, 0, 0, 1, 1, sealed FROM revocation
             ORDER BY credential LIMIT 1",
    );
    let (mut after, mut seen) = (None, 0);
    for _ in 0..4 {
        let queue = bench.vault.revocations().list(|_, _, _| true, after, Some(1)).unwrap();
        seen += queue.waiting.len();
        after = queue.waiting.last().map(|last| last.credential_id);
        if !queue.more {
            break;
        }
    }
    assert_eq!(seen, 2);
}

#[tokio::test]
async fn usage_is_counted_again() {
    let (bench, who) = (Bench::new(), AuditContext::system());
    bench.add("alice", "p", api_key("k")).await;
    bench.attack("UPDATE usage SET credentials = 7");
    let findings = bench.vault.integrity().verify().unwrap().findings;
    assert_eq!((findings.len(), findings[0].table.as_str(), findings[0].row.as_str()), (1, "usage", "alice"));
    let plan = bench.vault.integrity().plan_repair(&who).await.unwrap();
    assert_eq!(plan.damaged, findings);
    bench.vault.integrity().repair(&plan, &who).await.unwrap();
    assert_eq!(bench.vault.integrity().verify().unwrap().findings, []);
    bench.assert_manifest_holds();
}
