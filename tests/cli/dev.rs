//! `strongroom dev`, and commands beside it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command};

use crate::support::command::Desk;
use crate::support::http::{Ask, Reply};
use crate::support::process::signal;
use http::Method;
use serde_json::{Value, json};

/// The mode of a file.
fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// A process that does not outlive its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn terminate(child: &Child) {
    signal(child, "TERM");
}

/// `dev` as a test suite starts it: its one line, and the running process.
fn start(desk: &Desk, arguments: &[&str]) -> (Value, Running, BufReader<std::process::ChildStdout>) {
    let common = ["dev", "--print", "json", "--listen", "127.0.0.1:0"];
    let mut child = Running(desk.command(&[&common[..], arguments].concat()).spawn().unwrap());
    let mut stdout = BufReader::new(child.0.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    (serde_json::from_str(&line).unwrap(), child, stdout)
}

fn stop(mut child: Running, mut stdout: BufReader<std::process::ChildStdout>) {
    terminate(&child.0);
    assert_eq!(child.0.wait().unwrap().code(), Some(0));
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "", "nothing but the one line is on the standard output");
}

#[test]
fn dev_prints_one_line_and_leaves_nothing_behind() {
    let desk = Desk::new();
    let (ready, child, stdout) = start(&desk, &[]);
    let mut fields: Vec<&String> = ready.as_object().unwrap().keys().collect();
    fields.sort_unstable();
    assert_eq!(fields, ["api_key", "pid", "proxy_url", "url", "user", "vault"]);
    assert_eq!((&ready["user"], &ready["pid"]), (&json!("dev"), &json!(child.0.id())));
    let vault = Path::new(ready["vault"].as_str().unwrap()).to_owned();
    assert!(vault.exists());
    assert_eq!(mode(vault.parent().unwrap()), 0o700);
    stop(child, stdout);
    assert!(!vault.parent().unwrap().exists());
    assert_eq!(std::fs::read_dir(desk.path(".")).unwrap().count(), 0);
}

#[test]
fn dev_vault_keeps_its_key_file_and_one_live_api_key() {
    let desk = Desk::new();
    let (first, child, stdout) = start(&desk, &["--vault", "kept.db"]);
    desk.run(&["dev", "--listen", "127.0.0.1:0", "--vault", "kept.db"]).ended_with(1).complained("another server");
    stop(child, stdout);
    assert_eq!(mode(&desk.path("kept.db.key")), 0o400);
    let (second, child, stdout) = start(&desk, &["--vault", "kept.db"]);
    stop(child, stdout);
    assert_ne!(first["api_key"], second["api_key"]);

    desk.write("strongroom.toml", "[vault]\npath = \"kept.db\"\nmaster_key = { file = \"kept.db.key\" }\n");
    let keys = desk.run(&["key", "list", "--json"]).succeeded().json();
    let status: Vec<&str> = keys.as_array().unwrap().iter().map(|key| key["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["revoked", "active"]);
    assert!(!keys[1]["permissions"].to_string().contains("ADMIN"), "{keys}");

    std::fs::remove_file(desk.path("kept.db.key")).unwrap();
    desk.run(&["dev", "--listen", "127.0.0.1:0", "--vault", "kept.db"]).ended_with(2).complained("kept.db.key");
}

#[cfg(target_os = "linux")]
#[test]
fn process_dumps_no_core_and_creates_private_files() {
    let desk = Desk::new();
    let (ready, child, stdout) = start(&desk, &[]);
    let proc = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", ready["pid"])).unwrap();
    assert!(proc("status").contains("Umask:\t0077"), "{}", proc("status"));
    let limits = proc("limits");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    stop(child, stdout);
}

async fn get(url: &str) -> Reply {
    Ask::new(Method::GET, url.to_owned()).send().await
}

fn location(reply: &Reply) -> String {
    reply.header("Location").expect("a redirect").to_owned()
}

#[tokio::test]
async fn dev_reads_no_configuration_that_is_not_named() {
    let mut desk = Desk::new();
    let settings = "[sever]\nlisten = 1\n[vault]\npath = \"real.db\"\nepoch_file = \"epoch\"\n\
        [backup]\ndirectory = \"backups\"\n[providers.github]\nclient_id = \"c\"\nclient_secret = \"s\"\n";
    desk.write("strongroom.toml", settings);
    std::fs::create_dir(desk.path("backups")).unwrap();
    for (variable, value) in [
        ("STRONGROOM_VAULT__PATH", "variable.db"),
        ("STRONGROOM_VAULT__EPOCH_FILE", "variable.epoch"),
        ("STRONGROOM_BACKUP__DIRECTORY", "backups"),
        ("STRONGROOM_AUDIT__RETENTION", "nonsense"),
        ("STRONGROOM_PROVIDERS__GITLAB__CLIENT_ID", "c"),
        ("STRONGROOM_PROVIDERS__GITLAB__CLIENT_SECRET", "s"),
    ] {
        desk.set(variable, value);
    }
    let (ready, child, stdout) = start(&desk, &[]);
    assert_eq!(configured(&ready).await, ["sandbox"]);
    stop(child, stdout);
    let mut names: Vec<_> =
        std::fs::read_dir(desk.path(".")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["backups", "strongroom.toml"], "no file of the installation was made or changed");
    assert_eq!(desk.read("strongroom.toml"), settings);
    assert_eq!(std::fs::read_dir(desk.path("backups")).unwrap().count(), 0);
}

/// Names of the providers whose OAuth client is configured.
async fn configured(ready: &Value) -> Vec<String> {
    let url = format!("{}/v1/integrations/providers?configured=true", ready["url"].as_str().unwrap());
    let listed = Ask::new(Method::GET, url).key(ready["api_key"].as_str().unwrap()).send().await.is(200).json();
    let with_client = |provider: &&Value| provider["supports_oauth"] == true && provider["name"] != "mcp";
    let name = |provider: &Value| provider["name"].as_str().unwrap().to_owned();
    listed.as_array().unwrap().iter().filter(with_client).map(name).collect()
}

#[tokio::test]
async fn dev_takes_providers_and_origins_of_the_named_configuration() {
    let mut desk = Desk::new();
    std::fs::create_dir(desk.path("etc")).unwrap();
    std::fs::create_dir(desk.path("backups")).unwrap();
    desk.write("etc/github.secret", "s\n");
    desk.write(
        "etc/real.toml",
        "[server]\nlisten = \"unix:/no/such/socket\"\nbase_path = \"/other\"\n[vault]\npath = \"real.db\"\n\
         master_key = { credential = \"none\" }\nepoch_file = \"epoch\"\n[backup]\ndirectory = \"../backups\"\n\
         [audit]\nretention = \"1d\"\n[oauth]\ncallback_origins = [\"https://app.example.com\"]\nstate_ttl = \"1m\"\n\
         [egress]\nallow = [\"10.9.0.0/16\"]\n\
         [providers.github]\nclient_id = \"c\"\nclient_secret = { file = \"github.secret\" }\n",
    );
    desk.set("STRONGROOM_PROVIDERS__GITLAB__CLIENT_ID", "c");
    desk.set("STRONGROOM_PROVIDERS__GITLAB__CLIENT_SECRET", "s");
    desk.set("STRONGROOM_BACKUP__DIRECTORY", "backups");
    let (ready, child, stdout) = start(&desk, &["--config", "etc/real.toml"]);
    assert_eq!(configured(&ready).await, ["github", "gitlab", "sandbox"]);
    let initiate = |callback: &'static str| {
        let url = format!("{}/v1/integrations/github/oauth/initiate", ready["url"].as_str().unwrap());
        let ask = Ask::new(Method::POST, url).key(ready["api_key"].as_str().unwrap());
        ask.json(&json!({ "callback_url": callback })).send()
    };
    initiate("https://app.example.com/back").await.is(200);
    initiate("http://127.0.0.1/back").await.is(200);
    initiate("http://localhost:3000/back").await.is(200);
    let refused = initiate("https://other.example.com/back").await.is(400);
    assert!(refused.detail().to_string().contains("https://app.example.com"), "{}", refused.detail());

    // Commands beside it use the same settings.
    let shown = desk.run(&["--dev", "config", "show"]).succeeded().stdout;
    assert!(!shown.contains("backup.directory ="), "{shown}");
    let (vault, url) = (ready["vault"].as_str().unwrap(), ready["url"].as_str().unwrap());
    for line in [
        format!("server.listen = \"{}\"  # strongroom dev", url.trim_start_matches("http://")),
        format!("server.public_url = \"{url}\"  # strongroom dev"),
        format!("vault.path = \"{vault}\"  # option --vault"),
        format!("vault.master_key = {{ file = \"{vault}.key\" }}  # strongroom dev"),
        "vault.ballast = 0  # strongroom dev".to_owned(),
        "oauth.callback_origins = [\"https://app.example.com\", \"http://127.0.0.1\", \"http://localhost\"]".to_owned(),
        "egress.allow = [\"10.9.0.0/16\", \"127.0.0.0/8\"]  # strongroom dev".to_owned(),
        "providers.mcp.allow_private = [\"127.0.0.0/8\"]  # strongroom dev".to_owned(),
    ] {
        assert!(shown.contains(&line), "{line}\n{shown}");
    }
    let doctor = desk.run(&["--dev", "doctor"]).succeeded().stdout;
    assert!(doctor.contains("the settings of the running `strongroom dev` are valid"), "{doctor}");
    for wrong in ["strongroom init", "server.public_url", "scheduled backups", "vault.ballast"] {
        assert!(!doctor.contains(wrong), "{wrong}\n{doctor}");
    }
    let checked = desk.run(&["--dev", "config", "check"]).succeeded().stdout;
    assert!(checked.starts_with("the running `strongroom dev`: ok"), "{checked}");
    stop(child, stdout);
    assert!(!desk.path("etc/real.db").exists() && !desk.path("etc/epoch").exists());
    assert_eq!(std::fs::read_dir(desk.path("backups")).unwrap().count(), 0);

    desk.write("etc/faulty.toml", "[vault]\npth = 1\n[providers.github]\nclient_idd = \"c\"\n");
    let faulty = desk.run(&["dev", "--listen", "127.0.0.1:0", "--config", "etc/faulty.toml"]).ended_with(2);
    assert!(faulty.stderr.contains("client_idd") && !faulty.stderr.contains("pth"), "{}", faulty.stderr);
}

#[tokio::test]
async fn commands_work_beside_dev() {
    let desk = Desk::new();
    desk.run(&["--dev", "user", "list"]).ended_with(1).complained("no `strongroom dev` is running");
    let (ready, child, stdout) = start(&desk, &[]);
    let users = desk.run(&["--dev", "user", "list", "--json"]).succeeded().json();
    assert_eq!(users[0]["id"], "dev");
    desk.run(&["--dev", "doctor"]).succeeded();
    desk.run(&["--dev", "--config", "x.toml", "user", "list"]).ended_with(2);
    for command in ["dev", "init", "serve"] {
        desk.run(&["--dev", command]).ended_with(2).complained("leave out --dev");
    }

    let connect = ["connect", "sandbox", "--dev", "--no-browser"];
    let mut connect = Running(desk.command(&connect).spawn().unwrap());
    let mut lines = BufReader::new(connect.0.stderr.take().unwrap()).lines();
    let login = lines.find_map(|line| line.ok().filter(|line| line.contains("/authorize?"))).expect("a login URL");
    let decided = get(&format!("{}&sandbox_decision=approve", login.trim())).await.is(303);
    get(&location(&decided)).await.is(303);
    assert_eq!(connect.0.wait().unwrap().code(), Some(0));
    let mut id = String::new();
    connect.0.stdout.take().unwrap().read_to_string(&mut id).unwrap();
    let listed = format!("{}/v1/integrations/credentials", ready["url"].as_str().unwrap());
    let listed = Ask::new(Method::GET, listed).key(ready["api_key"].as_str().unwrap()).send().await.is(200).json();
    assert_eq!(listed[0]["id"], id.trim());

    let (second, other, its_stdout) = start(&desk, &["--vault", "kept.db"]);
    desk.run(&["--dev", "user", "list"]).ended_with(2).complained("--dev --vault ").complained("kept.db");
    desk.run(&["--dev", "--vault", "kept.db", "user", "list"]).succeeded();
    desk.run(&["--dev", "--vault", second["vault"].as_str().unwrap(), "user", "list"]).succeeded();
    desk.run(&["--dev", "--vault", "none.db", "user", "list"]).ended_with(1).complained("with this vault");
    stop(other, its_stdout);
    desk.run(&["--dev", "user", "list"]).succeeded();
    stop(child, stdout);
}

#[test]
fn a_killed_dev_is_not_found() {
    let desk = Desk::new();
    let (_, mut child, _stdout) = start(&desk, &[]);
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    desk.run(&["--dev", "user", "list"]).ended_with(1).complained("no `strongroom dev` is running");
}

#[test]
fn folders_of_killed_processes_are_removed() {
    let mut desk = Desk::new();
    desk.set("TMPDIR", desk.path(".").to_str().unwrap().to_owned().as_str());
    let (killed, mut child, _stdout) = start(&desk, &[]);
    child.0.kill().unwrap();
    child.0.wait().unwrap();
    let folder = |ready: &Value| Path::new(ready["vault"].as_str().unwrap()).parent().unwrap().to_owned();
    assert!(folder(&killed).exists());
    // Without the file of an instance, it may be one that starts just now.
    let starting = desk.path("strongroom-dev-start");
    std::fs::create_dir(&starting).unwrap();
    std::fs::set_permissions(&starting, PermissionsExt::from_mode(0o700)).unwrap();
    let others = desk.path("strongroom-dev-open");
    std::fs::create_dir(&others).unwrap();
    std::fs::write(others.join("dev.json"), "{}").unwrap();
    std::fs::set_permissions(&others, PermissionsExt::from_mode(0o755)).unwrap();

    let (running, first, its_stdout) = start(&desk, &[]);
    assert!(!folder(&killed).exists() && starting.exists() && others.exists());
    let (_, second, stdout) = start(&desk, &[]);
    assert!(folder(&running).exists(), "a running one keeps its folder");
    stop(second, stdout);
    stop(first, its_stdout);
}

#[test]
fn a_folder_that_others_may_write_is_no_dev() {
    let desk = Desk::new();
    let (ready, child, stdout) = start(&desk, &[]);
    let folder = Path::new(ready["vault"].as_str().unwrap()).parent().unwrap();
    assert_eq!(mode(&folder.join("dev.json")), 0o600);
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o770)).unwrap();
    desk.run(&["--dev", "user", "list"]).ended_with(1).complained("no `strongroom dev` is running");
    stop(child, stdout);
}

#[tokio::test]
async fn approve_ends_on_a_page_that_says_what_to_run_next() {
    let desk = Desk::new();
    let mut child = Running(desk.command(&["dev", "--listen", "127.0.0.1:0"]).spawn().unwrap());
    let mut stdout = BufReader::new(child.0.stdout.take().unwrap());
    let mut greeting = String::new();
    while !greeting.contains("Ctrl-C") {
        assert_ne!(stdout.read_line(&mut greeting).unwrap(), 0, "{greeting}");
    }
    assert!(greeting.contains("strongroom --dev connect sandbox"), "{greeting}");
    let commands: Vec<&str> = greeting.lines().filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(commands.len(), 3, "{greeting}");
    let key = greeting.split_whitespace().find(|word| word.starts_with("srk_")).expect("an API key");
    // Arguments of a process are visible to every user of the machine.
    assert!(!commands.iter().any(|command| command.contains(key)), "{greeting}");
    assert!(curl(commands[0]).await[0]["name"].is_string(), "{greeting}");
    let begun = curl(commands[1]).await;

    let decided = format!("{}&sandbox_decision=approve", begun["login_url"].as_str().unwrap());
    let callback = location(&get(&decided).await.is(303)).replace("localhost", "127.0.0.1");
    let page = get(&callback).await.is(200);
    assert!(page.header("Content-Security-Policy").unwrap().contains("style-src 'nonce-"), "the page has a style");
    let page = page.text();
    assert!(page.contains("sandbox_code_") && page.contains(begun["state_token"].as_str().unwrap()), "{page}");
    assert!(!page.contains(key), "the API key is no concern of the browser");
    let command = page.split("<pre>").nth(1).unwrap().split("</pre>").next().unwrap();
    let command = command.replace("&quot;", "\"").replace("&#39;", "'").replace("&lt;", "<");
    let arguments = command.lines().next().unwrap();
    assert!(!arguments.contains("sandbox_code_") && !arguments.contains("$KEY"), "{command}");
    assert_eq!(curl(&command).await["provider"], "sandbox");
    assert_eq!(curl(commands[2]).await[0]["provider"], "sandbox");
}

/// Runs a command as it is printed, and returns its answer. Without curl, the request that curl would send.
async fn curl(command: &str) -> Value {
    if let Ok(ran) = Command::new("sh").args(["-c", command]).output()
        && ran.status.success()
    {
        return serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{command}: {error}"));
    }
    let words: Vec<&str> = command.split_whitespace().collect();
    assert_eq!(words[2], "-K", "{command}");
    let config = std::fs::read_to_string(words[3]).unwrap();
    let key = config.trim_end().strip_prefix("header = \"X-API-Key: ").and_then(|rest| rest.strip_suffix('"'));
    let body = command.find('{').map(|at| command[at..].trim_end_matches("END").trim_end_matches('\'').to_owned());
    let method = if body.is_some() { Method::POST } else { Method::GET };
    let ask = Ask::new(method, words[4].to_owned()).key(key.unwrap()).header("Content-Type", "application/json");
    ask.bytes(body.unwrap_or_default()).send().await.is(200).json()
}
