//! The audit log as an operator uses it, with the real program: verified, looked through, exported, shortened.

#![allow(clippy::unwrap_used, reason = "a helper of a test may stop it")]

#[path = "support/command.rs"]
mod command;

use command::Desk;

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
