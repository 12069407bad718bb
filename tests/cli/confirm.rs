//! Destructive commands ask on a terminal, and only there.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::process::Stdio;

use crate::support::command::Desk;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// Runs a command on a terminal on which `answer` was typed. Returns the exit code and the text on the terminal.
fn on_terminal(desk: &Desk, arguments: &[&str], answer: &str) -> (i32, String) {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap().into_string().unwrap();
    let mut controller = File::from(controller);
    let terminal = OpenOptions::new().read(true).write(true).open(name).unwrap();
    controller.write_all(answer.as_bytes()).unwrap();
    let mut command = desk.command(arguments);
    command.stdin(terminal.try_clone().unwrap()).stderr(terminal).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    // It holds the terminal open.
    drop(command);
    let mut shown = Vec::new();
    // Linux reports EIO when the last process has closed the terminal.
    let _ = controller.read_to_end(&mut shown);
    (child.wait().unwrap().code().unwrap(), String::from_utf8_lossy(&shown).into_owned())
}

// Contract, section 5.
#[test]
fn destructive_commands_ask_on_a_terminal() {
    let desk = Desk::initialised();
    let add = ["credential", "add", "openai", "--user", "alice", "--title", "t", "--from-file", "-", "--json"];
    let create = ["key", "create", "--user", "alice", "--permission", "READ_INTEGRATIONS", "--json"];
    let text = |value: &serde_json::Value| value["id"].as_str().unwrap().to_owned();
    let credential = text(&desk.run_with(&add, "sk-1\n").succeeded().json());
    let key = text(&desk.run(&create).succeeded().json());
    desk.run_with(&["vault", "slot", "add", "--passphrase", "stdin"], "correct horse battery\n").succeeded();
    let slots = desk.run(&["vault", "slot", "list", "--json"]).succeeded().json();
    let slot = slots[1]["id"].to_string();
    for command in [
        &["credential", "remove", credential.as_str()][..],
        &["key", "revoke", &key],
        &["provider", "forget", "mcp"],
        &["vault", "slot", "remove", &slot],
        &["audit", "prune", "--older-than", "1d"],
        &["user", "remove", "alice"],
    ] {
        for answer in ["n\n", "\n", "x\n", "\u{4}"] {
            let (code, shown) = on_terminal(&desk, command, answer);
            assert!(shown.contains("? [y/N]") || shown.contains(". [y/N]"), "{command:?}: {shown}");
            assert_eq!(code, 1, "{command:?}: {shown}");
            assert!(shown.contains("not confirmed; nothing was changed"), "{command:?}: {shown}");
        }
    }
    // Nothing was changed, so each command still has something to do.
    assert_eq!(desk.run(&["key", "list", "--json"]).json()[0]["status"], "active");
    let (code, shown) = on_terminal(&desk, &["credential", "remove", &credential], "y\n");
    assert!(code == 0 && shown.contains("[y/N]"), "{shown}");
    let (code, shown) = on_terminal(&desk, &["key", "revoke", &key, "--yes"], "");
    assert!(code == 0 && !shown.contains("[y/N]"), "{shown}");
    let (code, shown) = on_terminal(&desk, &["vault", "slot", "remove", &slot], "YES\n");
    assert!(code == 0 && shown.contains(&format!("slot {slot}")), "{shown}");
    // Without a terminal they go ahead.
    desk.run(&["user", "remove", "alice"]).succeeded();
    desk.run(&["audit", "prune", "--older-than", "1d"]).succeeded();
    desk.run(&["provider", "forget", "mcp"]).succeeded();
    assert_eq!(desk.run(&["user", "list", "--json"]).json(), serde_json::json!([]));
}
