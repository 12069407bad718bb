//! Another user of the machine, and another process of the very same user, against a running server: files, /proc, ptrace,
//! memory, descriptors, core files. What they try is in `support/attack.c`.
//!
//! Only root can start a server as one user and attack it as another. Without root the attacks are those of another process
//! of this user, which is the harder half: there nothing but `PR_SET_DUMPABLE` keeps them out.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::process::{Installation, Process};
use http::Method;
use serde_json::json;

/// Users of whom this machine has no account.
const SERVER: u32 = 60_001;
const NOBODY: u32 = 65_534;

/// A folder that everybody can look into, with the compiled attack in it; nothing where there is no compiler.
fn attack_program() -> Option<(tempfile::TempDir, PathBuf)> {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("attack");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/attack.c");
    let compiled = Command::new("cc").arg("-o").arg(&program).arg(source).status();
    compiled.is_ok_and(|status| status.success()).then_some((folder, program))
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// A command as another user where this is root, else as this one.
fn by(user: u32, program: &Path) -> Command {
    let mut command = Command::new(program);
    if is_root() {
        command.uid(user).gid(user);
    }
    command
}

/// Results of the attack on a process by the name of each attempt. Empty if everything was denied.
fn got(user: u32, attack: &Path, pid: u32) -> Vec<String> {
    let output = by(user, attack).arg(pid.to_string()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 24, "{text}");
    text.lines().filter(|line| !line.ends_with(" denied")).map(str::to_owned).collect()
}

/// A server with a secret in its memory, run by a user who is not root.
#[expect(clippy::print_stderr, reason = "who runs it is told what was not tried")]
async fn server(installation: &Installation) -> Process {
    let key = installation.key("alice");
    let server = if is_root() {
        installation.serve_as(SERVER).await
    } else {
        eprintln!("not root: the attacks are made by another process of the same user alone");
        installation.serve().await
    };
    let body = json!({"type": "api_key", "api_key": "sk-canary", "title": "t"});
    let path = "/v1/integrations/openai/credentials";
    let made = server.ask(Method::POST, path).key(&key).json(&body).send().await.is(201).json();
    let token = format!("{path}/{}/token", made["id"].as_str().unwrap());
    server.ask(Method::GET, &token).key(&key).send().await.is(200);
    server
}

#[tokio::test(flavor = "multi_thread")]
async fn other_user_and_other_process_get_nothing() {
    let Some((_folder, attack)) = attack_program() else {
        assert!(!crate::support::in_ci(), "CI has a C compiler: nothing is skipped there");
        return eprintln!("skipped: no C compiler here");
    };
    let installation = Installation::new("").await;
    let server = server(&installation).await;
    for user in [NOBODY, SERVER] {
        assert_eq!(got(user, &attack, server.id()), Vec::<String>::new(), "user {user}");
    }
    let argv = fs::read_to_string(format!("/proc/{}/cmdline", server.id())).unwrap();
    assert!(!argv.contains("srm_") && !argv.contains("srk_") && !argv.contains("canary"), "{argv}");
    // Against a program that takes no precautions the same attack succeeds: it is a real one.
    let mut careless = by(SERVER, Path::new("/bin/sleep")).arg("60").stdin(Stdio::null()).spawn().unwrap();
    let seen = got(SERVER, &attack, careless.id());
    careless.kill().unwrap();
    careless.wait().unwrap();
    for name in ["environ", "maps", "fd", "exe"] {
        assert!(seen.contains(&format!("{name} GOT IT")), "{name}: {seen:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_user_reads_no_file_in_an_open_folder() {
    if !is_root() {
        return eprintln!(
            "not root: nobody else's eyes can be borrowed, and the modes are checked in tests/vault/attacks.rs"
        );
    }
    let installation = Installation::new("").await;
    let _server = server(&installation).await;
    fs::set_permissions(installation.folder.path(), Permissions::from_mode(0o755)).unwrap();
    for entry in fs::read_dir(installation.folder.path()).unwrap().map(Result::unwrap) {
        let path = entry.path();
        // The test's own: the copy of the program, and what the server wrote to the standard error.
        if ["strongroom", "server.log"].iter().any(|own| path.ends_with(own)) {
            continue;
        }
        let read = |user| by(user, Path::new("/bin/cat")).arg(&path).output().unwrap();
        let denied = read(NOBODY);
        assert!(!denied.status.success() && denied.stdout.is_empty(), "{}", path.display());
        assert!(read(SERVER).status.success(), "its owner can: {}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn crashed_server_leaves_no_core_file() {
    let installation = Installation::new("").await;
    let server = server(&installation).await;
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "{core}");
    let ended = server.signal_and_wait("ABRT");
    assert_eq!((ended.signal(), ended.core_dumped()), (Some(6), false));
    let names = fs::read_dir(installation.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().starts_with("core")));
}

/// Everything of it is said by `doctor`, beside the running server.
#[tokio::test(flavor = "multi_thread")]
async fn doctor_reports_process_isolation() {
    let installation = Installation::new("").await;
    let server = installation.serve().await;
    let said = installation.run(&["doctor"]).must_succeed().stdout();
    for found in
        ["umask 0077", "core files are disabled", "other processes of this user cannot read this process's memory"]
    {
        assert!(said.contains(found), "{found}: {said}");
    }
    assert!(!said.contains(&format!("(process {})", server.id())), "nothing is wrong with the server: {said}");
    drop(server);

    let Some((_folder, attack)) = attack_program() else {
        assert!(!crate::support::in_ci(), "CI has a C compiler: nothing is skipped there");
        return eprintln!("half of it skipped: no C compiler here");
    };
    // A program that takes no precautions holds the lock.
    let lock = installation.path("strongroom.db.lock");
    if is_root() {
        let given = Command::new("chown").arg(SERVER.to_string()).arg(&lock).status();
        assert!(given.unwrap().success());
        fs::set_permissions(installation.folder.path(), Permissions::from_mode(0o711)).unwrap();
    }
    let script = "ulimit -c 1024; exec \"$0\" hold \"$1\"";
    let mut careless = by(SERVER, Path::new("/bin/bash"));
    let mut careless = careless.args(["-c", script]).arg(attack).arg(&lock).stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(careless.stdout.take().unwrap()), &mut ready).unwrap();
    assert_eq!(ready, "ready\n");
    let said = installation.run(&["doctor"]).stdout();
    let limits = fs::read_to_string(format!("/proc/{}/limits", careless.id())).unwrap();
    careless.kill().unwrap();
    careless.wait().unwrap();
    let names_it = format!("the server (process {})", careless.id());
    assert!(said.contains(&format!("can read the memory of {names_it}")), "{said}");
    if limits.lines().any(|line| line.starts_with("Max core file size") && !line.contains(" 0 ")) {
        assert!(said.contains(&format!("{names_it} may write a core file")), "{said}");
    }
}
