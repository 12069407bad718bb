//! The audit log as an operator uses it, with the real program: verified, looked through, exported, shortened.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::command::{Desk, Said};
use crate::support::http::Reply;
use crate::support::process::Installation;
use crate::support::{Server, Setup};
use http::Method;
use serde_json::{Value, json};
use strongroom::clock::Clock;
use strongroom::http::Limits;
use strongroom::jose::{self, Algorithm, Jwks};
use strongroom::permission::Permission;
use strongroom::sandbox::RefreshTokens;
use strongroom::vault::{AuditFilter, AuditRow};

/// A vault whose log has three rows: that it was made, and two users.
fn three_rows() -> Desk {
    let desk = Desk::initialised();
    for user in ["alice", "bob"] {
        desk.run(&["user", "add", user]).succeeded();
    }
    desk
}

/// Runs SQL on the vault's file.
fn sql(desk: &Desk, sql: &str) {
    rusqlite::Connection::open(desk.path("strongroom.db")).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn broken_log_is_exit_4_and_names_the_first_row() {
    let said = three_rows().run(&["audit", "verify"]).succeeded().stdout;
    assert_eq!(said, "the audit log is intact: 3 rows\n");
    for (attack, named) in [
        ("UPDATE audit SET user = 'carol' WHERE seq = 2", "audit row 2: not as written"),
        ("DELETE FROM audit WHERE seq = 2", "audit row 2: missing"),
        ("DELETE FROM audit WHERE seq > 1", "audit rows 2 to 3: missing, the end of the log was cut off"),
        (
            "INSERT INTO audit SELECT 4, at, action, result, actor, user, provider, credential, subject, address,
             request_id, key_version, mac FROM audit WHERE seq = 3",
            "audit row 4: added from outside",
        ),
    ] {
        let desk = three_rows();
        sql(&desk, attack);
        let said = desk.run(&["audit", "verify"]).ended_with(4);
        assert!(said.stdout.contains(named), "{}", said.stdout);
        said.complained(&format!("the audit log was tampered with: {named}"));
    }
}

/// The actions of the rows that were printed as JSON.
fn actions(said: &Said) -> Vec<String> {
    let rows = said.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| row["action"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn list_is_filtered_and_ends_with_the_newest_row() {
    let desk = three_rows();
    let create = ["key", "create", "--user", "alice", "--permission", "READ_INTEGRATIONS", "--json"];
    let key = desk.run(&create).succeeded().json()["id"].as_str().unwrap().to_owned();
    desk.run_with(&["credential", "add", "openai", "--user", "bob", "--from-file", "-"], "sk-x").succeeded();
    desk.run(&["key", "revoke", &key]).succeeded();
    let all = ["vault.create", "user.add", "user.add", "key.create", "credential.create", "key.revoke"];
    let list = |more: &[&str]| actions(&desk.run(&[&["audit", "list", "--json"], more].concat()).succeeded());
    assert_eq!(list(&[]), all);
    for (filter, expected) in [
        (vec!["--limit", "2"], &all[4..]),
        (vec!["--since", "1h"], &all),
        (vec!["--until", "1h"], &[]),
        (vec!["--since", "2026-01-01T00:00:00Z", "--until", "2200-01-01T00:00:00Z"], &all),
        (vec!["--action", "user.*"], &all[1..3]),
        (vec!["--action", "key.revoke"], &all[5..]),
        (vec!["--user", "alice", "--action", "key.create"], &all[3..4]),
        (vec!["--provider", "openai"], &all[4..5]),
        (vec!["--user", "bob", "--provider", "github"], &[]),
        (vec!["--actor", "command-line"], &all),
        (vec!["--actor", "system"], &[]),
        (vec!["--key", &key], &["key.create", "key.revoke"]),
        (vec!["--result", "ok"], &all),
        (vec!["--result", "denied"], &[]),
    ] {
        assert_eq!(list(&filter), expected, "{filter:?}");
    }
    desk.run(&["audit", "list", "--since", "yesterday"]).ended_with(2).complained("an age such as 24h");
    desk.run(&["audit", "list", "--result", "good"]).ended_with(2);
    let table = desk.run(&["audit", "list", "--user", "bob"]).succeeded().stdout;
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.starts_with("ROW  TIME ") && table.contains("credential.create  ok      command-line"), "{table}");
}

#[test]
fn forged_row_is_never_shown_as_genuine() {
    let desk = three_rows();
    sql(&desk, "UPDATE audit SET user = 'carol' WHERE seq = 2");
    desk.run(&["audit", "list"]).ended_with(4).complained("audit row 2 was changed, or the row before it was removed");
    assert_eq!(actions(&desk.run(&["audit", "list", "--user", "bob", "--json"]).succeeded()), ["user.add"]);
}

/// The members of the signed head in the last line of an export, and the rest of its text.
fn head_of(export: &str) -> (String, &str) {
    let rows = export.trim_end().rfind('\n').map_or("", |end| &export[..=end]);
    let head: Value = serde_json::from_str(&export[rows.len()..]).unwrap();
    (head["head"].as_str().unwrap().to_owned(), rows)
}

#[test]
fn export_is_signed_for_third_parties() {
    let desk = three_rows();
    desk.run(&["audit", "export", "a.jsonl"]).succeeded();
    assert_eq!(desk.path("a.jsonl").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    desk.run(&["audit", "export", "a.jsonl"]).ended_with(1).complained("name a file that does not exist yet");
    let export = desk.read("a.jsonl");
    let (head, rows) = head_of(&export);
    assert_eq!(rows, head_of(&desk.run(&["audit", "export"]).succeeded().stdout).1);
    let rows_read: Vec<Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows_read.iter().map(|row| row["row"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);

    // The third party has the file and the public key.
    let keys = Jwks::parse(desk.run(&["audit", "key"]).succeeded().stdout.as_bytes()).unwrap();
    let verified = jose::verify(&head, &keys, &[Algorithm::EdDsa]).unwrap();
    let claims = Value::Object(verified.claims.0);
    assert_eq!((&claims["row"], &claims["mac"]), (&json!(3), &rows_read[2]["mac"]));
    desk.write("rows", rows);
    let sum = std::process::Command::new("sha256sum").arg(desk.path("rows")).output().unwrap();
    let sha256 = String::from_utf8(sum.stdout).unwrap()[..64].to_owned();
    assert_eq!(claims["rows"], json!({"first": 1, "count": 3, "sha256": sha256}));
    let forged = format!("{}x{}", &head[..60], &head[61..]);
    assert!(jose::verify(&forged, &keys, &[Algorithm::EdDsa]).is_err());
}

/// The commands of docs/audit-log.md, word for word, in an ordinary shell.
#[test]
fn documented_check_of_a_head_works() {
    let guide = include_str!("../../docs/audit-log.md");
    let script = guide.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
    let desk = three_rows();
    let bin = Path::new(env!("CARGO_BIN_EXE_strongroom")).parent().unwrap().to_owned();
    desk.run(&["audit", "export", "export.jsonl"]).succeeded();
    desk.write("audit.pem", &desk.run(&["audit", "key", "--pem"]).succeeded().stdout);
    let run = |script: &str| {
        let path = format!("{}:/usr/bin:/bin", bin.display());
        let mut shell = std::process::Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", script]).current_dir(desk.path("")).env("PATH", path).output().unwrap()
    };
    if !run("openssl version; jq --version").status.success() {
        assert!(!crate::support::in_ci(), "CI has openssl and jq");
        return eprintln!("skipped: openssl or jq is missing");
    }
    let checked = run(script);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    assert!(String::from_utf8_lossy(&checked.stdout).contains("Signature Verified Successfully"));
    desk.write("export.jsonl", &desk.read("export.jsonl").replace("alice", "carol"));
    assert!(!run(script).status.success(), "rows that were changed");
    desk.write("audit.pem", &three_rows().run(&["audit", "key", "--pem"]).succeeded().stdout);
    assert!(!run(script).status.success(), "another vault's key");
}

#[test]
fn external_head_detects_a_cut_or_rewritten_log() {
    let desk = three_rows();
    std::fs::copy(desk.path("strongroom.db"), desk.path("old.db")).unwrap();
    let add = |vault: &str, user: &str| desk.run(&["--vault", vault, "user", "add", user]).succeeded();
    add("strongroom.db", "carol");
    desk.write("head", &desk.run(&["audit", "head"]).succeeded().stdout);
    desk.run(&["audit", "export", "a.jsonl"]).succeeded();
    add("strongroom.db", "dora");
    for file in ["head", "a.jsonl"] {
        let said = desk.run(&["audit", "verify", "--head", file]).succeeded().stdout;
        assert!(said.ends_with(&format!("the audit log contains everything in {file}\n")), "{said}");
        let old = ["--vault", "old.db", "audit", "verify", "--head", file];
        desk.run(&old).ended_with(4).complained("it was truncated, or an older vault was restored");
    }
    add("old.db", "mallory");
    let old = ["--vault", "old.db", "audit", "verify", "--head", "head"];
    desk.run(&old).ended_with(4).complained("it was rewritten");

    desk.write("changed.jsonl", &desk.read("a.jsonl").replace("alice", "eve"));
    desk.run(&["audit", "verify", "--head", "changed.jsonl"]).ended_with(1).complained("do not match its signed head");
    desk.write("no.jsonl", "{}\n");
    desk.run(&["audit", "verify", "--head", "no.jsonl"]).ended_with(1).complained("is not a signed head");
    desk.write("foreign", &three_rows().run(&["audit", "head"]).succeeded().stdout);
    desk.run(&["audit", "verify", "--head", "foreign"]).ended_with(1).complained("it is not signed by this vault");
    sql(&desk, "DELETE FROM audit WHERE seq = 3");
    desk.run(&["audit", "export", "b.jsonl"]).ended_with(4).complained("table audit, row 3: it is missing");
    assert!(!desk.path("b.jsonl").exists());
}

#[tokio::test]
async fn server_keeps_the_log_for_audit_retention() {
    let days = |days: u64| std::time::Duration::from_secs(days * 86_400);
    let setup = || Setup { config: "[audit]\nretention = \"30d\"".into(), ..Setup::default() };
    let (server, forever) = (Server::with(setup()).await, Server::start().await);
    let actions = |server: &Server| -> Vec<String> {
        let rows = server.vault.audit().find(&AuditFilter::default()).unwrap();
        rows.into_iter().map(|entry| entry.row.action.into_owned()).collect()
    };
    let before = actions(&server);
    assert_eq!(before.first().map(String::as_str), Some("vault.create"));
    for server in [&server, &forever] {
        server.clock.advance(days(30));
        server.key_of("bob").await;
        server.broker.housekeeping_round().await;
        assert_eq!(actions(server).len(), before.len() + 1);
        server.clock.advance(days(1) + std::time::Duration::from_secs(1));
        server.broker.housekeeping_round().await;
    }
    assert_eq!(actions(&server), ["key.create", "audit.prune"]);
    assert_eq!(actions(&forever).len(), before.len() + 1);
    server.broker.housekeeping_round().await;
    assert_eq!(actions(&server).len(), 2);
    server.vault.audit().verify(&mut |fault| panic!("{fault}")).unwrap();
}

#[test]
fn operator_prunes_the_log() {
    let desk = three_rows();
    desk.run(&["audit", "prune"]).ended_with(2).complained("--older-than 400d");
    let said = desk.run(&["audit", "prune", "--older-than", "1d"]).succeeded().stdout;
    assert!(said.starts_with("removed 0 audit rows older than "), "{said}");
    // Times have seconds: the next one must begin.
    let written = Clock::system().now();
    while Clock::system().now() <= written {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let said = desk.run(&["audit", "prune", "--older-than", "0s"]).succeeded().stdout;
    assert!(said.starts_with("removed 3 audit rows"), "{said}");
    let rows = desk.run(&["audit", "list", "--json"]).succeeded();
    assert_eq!(actions(&rows), ["audit.prune"]);
    let said = desk.run(&["audit", "verify"]).succeeded().stdout;
    assert_eq!(said, "the audit log is intact since row 4: 1 rows\n");
}

/// The rows of what was refused, each as (actor, user, provider, credential, subject, request id).
fn refused(server: &Server) -> Vec<AuditRow> {
    let filter = AuditFilter { result: Some("denied".into()), ..AuditFilter::default() };
    server.vault.audit().find(&filter).unwrap().into_iter().map(|entry| entry.row).collect()
}

#[tokio::test]
async fn denied_request_leaves_a_row_with_ids_only() {
    let server = Server::start().await;
    let weak = server.key_with(&[Permission::ReadIntegrations]).await;
    let team = server.service_key(&["team-*"]).await;
    let bob = server.key_of("bob").await;
    server.sandbox.adjust(|behaviour| behaviour.refresh_tokens = RefreshTokens::Absent);
    let id = server.connect("sandbox").await;
    let path = format!("/v1/integrations/sandbox/credentials/{id}");
    let token = format!("{path}/token");
    let pattern = "/v1/integrations/{provider}/credentials/{cred_id}";

    server.delete(&path).send().await.is(401);
    server.delete(&path).key("srk_wrong").send().await.is(401);
    server.get(&format!("{path}x")).key(&weak).send().await.is(404);
    server.get("/v1/integrations/openai/credentials?limit=x").key(&weak).send().await.is(422);
    assert_eq!(refused(&server).len(), 1, "no key, a wrong one or a mistake is no refusal");

    let missing = server.delete(&path).key(&weak).send().await.is(403);
    server.get("/v1/integrations/credentials").key(&team).header("Strongroom-User", "alice").send().await.is(403);
    server.get("/v1/integrations/credentials").key(&weak).header("Strongroom-User", "eve").send().await.is(403);
    server.get(&token).key(&bob).send().await.is(404);
    server.get(&format!("/v1/integrations/openai/credentials/{id}")).key(&server.key).send().await.is(404);
    server.clock.advance(std::time::Duration::from_secs(3 * 3600));
    server.get(&token).key(&server.key).send().await.is(409);

    let rows = refused(&server);
    let seen: Vec<_> = rows[1..]
        .iter()
        .map(|row| (row.user.as_deref(), row.credential.as_deref(), row.subject.as_deref().unwrap_or_default()))
        .collect();
    let own = Some(id.as_str());
    assert_eq!(
        seen,
        [
            (Some("alice"), own, &*format!("refused:permission-missing DELETE {pattern}")),
            (Some("alice"), None, "refused:user-not-allowed GET /v1/integrations/credentials"),
            (Some("eve"), None, "refused:user-not-nameable GET /v1/integrations/credentials"),
            (Some("bob"), own, &*format!("refused:credential-not-found GET {pattern}/token")),
            (Some("alice"), own, &*format!("refused:credential-of-another-provider GET {pattern}")),
            (Some("alice"), own, &*format!("refused:needs-reauth GET {pattern}/token")),
        ]
    );
    assert!(rows.iter().all(|row| row.action == "request.refuse" && row.actor.starts_with("key:")));
    assert_eq!(rows[1].request_id.as_deref(), missing.header("X-Request-Id"));
    assert_eq!(rows[4].provider.as_deref(), Some("sandbox"));
    server.vault.audit().verify(&mut |fault| panic!("{fault}")).unwrap();
}

#[tokio::test]
async fn denials_cannot_fill_the_disk() {
    let limits = Limits { denials_burst: 3, denials_per_minute: 1, ..Limits::default() };
    let server = Server::with(Setup::limits(limits)).await;
    let weak = server.key_with(&[]).await;
    let ask = async || server.get("/v1/integrations/credentials").key(&weak).send().await.is(403);
    for _ in 0..50 {
        ask().await;
    }
    assert_eq!(refused(&server).len(), 3);
    server.clock.advance(std::time::Duration::from_secs(60));
    ask().await;
    ask().await;
    let rows = refused(&server);
    assert_eq!(rows.len(), 4);
    assert!(rows[3].subject.as_deref().unwrap().ends_with("(47 before it not recorded)"), "{:?}", rows[3]);
}

/// If another process blocks writes to the vault, no secret leaves. If a secret has left, its row exists.
#[tokio::test(flavor = "multi_thread")]
async fn secret_leaves_only_after_its_row_is_durable() {
    let installation = Installation::new("").await;
    let key = installation.key("alice");
    let server = installation.serve().await;
    let path = "/v1/integrations/openai/credentials";
    let body = json!({"type": "api_key", "api_key": "sk-canary", "title": "t"});
    let made = server.ask(Method::POST, path).key(&key).json(&body).send().await.is(201).json();
    let token = format!("{path}/{}/token", made["id"].as_str().unwrap());
    let file = rusqlite::Connection::open(installation.path("strongroom.db")).unwrap();
    file.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = server.ask(Method::GET, &token).key(&key).send().await.is(503);
    assert!(!refused.text().contains("sk-canary"), "{}", refused.text());
    file.execute_batch("ROLLBACK").unwrap();
    let read = server.ask(Method::GET, &token).key(&key).send().await.is(200);
    server.kill();
    assert!(read.text().contains("sk-canary"));
    let sql = "SELECT count(*) FROM audit WHERE action = 'credential.read' AND request_id = ?";
    let rows = |reply: &Reply| -> u32 {
        file.query_row(sql, [reply.header("X-Request-Id").unwrap()], |row| row.get(0)).unwrap()
    };
    assert_eq!((rows(&refused), rows(&read)), (0, 1));
}
