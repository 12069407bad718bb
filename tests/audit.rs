//! The audit log as an operator uses it, with the real program: verified, looked through, exported, shortened.

#![allow(clippy::unwrap_used, reason = "a helper of a test may stop it")]

#[path = "support/command.rs"]
mod command;
mod support;

use std::io::{BufRead as _, BufReader};

use command::{Desk, Said};
use http::Method;
use serde_json::{Value, json};
use support::process::Installation;

/// A vault whose log has three rows: that it was made, and two users.
fn three_rows() -> Desk {
    let desk = Desk::initialised();
    for user in ["alice", "bob"] {
        desk.run(&["user", "add", user]).succeeded();
    }
    desk
}

/// Somebody with a SQL shell.
fn sql(desk: &Desk, sql: &str) {
    rusqlite::Connection::open(desk.path("strongroom.db")).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_log_that_does_not_hold_is_exit_code_4_and_its_first_wrong_row_is_named() {
    let said = three_rows().run(&["audit", "verify"]).succeeded().stdout;
    assert_eq!(said, "all 3 rows of the audit log are as they were written\n");
    for (attack, named) in [
        ("UPDATE audit SET user = 'carol' WHERE seq = 2", "audit row 2: not as written"),
        ("DELETE FROM audit WHERE seq = 2", "audit row 2: missing"),
        ("DELETE FROM audit WHERE seq > 1", "audit rows 2 to 3: missing, the end of the log was cut off"),
        (
            "INSERT INTO audit SELECT 4, at, action, result, actor, user, provider, credential, subject, address,
             request_id, key_version, mac FROM audit WHERE seq = 3",
            "audit row 4: put in by somebody else",
        ),
    ] {
        let desk = three_rows();
        sql(&desk, attack);
        let said = desk.run(&["audit", "verify"]).ended_with(4);
        assert!(said.stdout.contains(named), "{}", said.stdout);
        said.complained(&format!("the audit log does not hold: {named}"));
    }
}

/// The actions of the rows that were printed as JSON.
fn actions(said: &Said) -> Vec<String> {
    let rows = said.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.map(|row| row["action"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_list_is_filtered_and_its_newest_row_comes_last() {
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
    desk.run(&["audit", "list", "--since", "yesterday"]).ended_with(2).complained("how long ago, such as 24h");
    desk.run(&["audit", "list", "--result", "good"]).ended_with(2);
    let table = desk.run(&["audit", "list", "--user", "bob"]).succeeded().stdout;
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(table.starts_with("ROW  TIME ") && table.contains("credential.create  ok      command-line"), "{table}");
}

#[test]
fn nobody_is_shown_a_forged_row_as_a_true_one() {
    let desk = three_rows();
    sql(&desk, "UPDATE audit SET user = 'carol' WHERE seq = 2");
    desk.run(&["audit", "list"]).ended_with(4).complained("audit row 2 is not as it was written");
    assert_eq!(actions(&desk.run(&["audit", "list", "--user", "bob", "--json"]).succeeded()), ["user.add"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_follows_shows_what_a_running_server_writes() {
    let installation = Installation::new("").await;
    let key = installation.key("alice");
    let server = installation.serve().await;
    let mut following = std::process::Command::new(env!("CARGO_BIN_EXE_strongroom"))
        .args(["audit", "list", "--follow", "--json", "--limit", "1", "--user", "alice"])
        .current_dir(installation.folder.path())
        .env_clear()
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(following.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(next()["action"], "key.create");
    let path = "/v1/integrations/openai/credentials";
    let body = json!({"type": "api_key", "api_key": "sk", "title": "t"});
    let made = server.ask(Method::POST, path).key(&key).json(&body).send().await.is(201).json();
    let row = next();
    assert_eq!((&row["action"], &row["credential"]), (&json!("credential.create"), &made["id"]));
    let id = made["id"].as_str().unwrap();
    let read = server.ask(Method::GET, &format!("{path}/{id}/token")).key(&key).send().await.is(200);
    let row = next();
    assert_eq!((&row["action"], &row["address"]), (&json!("credential.read"), &json!("127.0.0.1")));
    assert_eq!(row["request_id"], read.header("X-Request-Id").unwrap());
    following.kill().unwrap();
    following.wait().unwrap();
}
