//! `strongroom run`: a command that uses credentials without seeing them.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::sync::{Arc, Mutex};

use http::Method;
use serde_json::{Value, json};

use crate::support::command::Desk;
use crate::support::http::Ask;
use crate::support::process::{Installation, Process, Running};
use crate::support::provider::peers;

const SECRET: &str = "sk-live-0123456789abcdef";

/// Environment of every run, with a key that the command must not see.
const PATH: (&str, &str) = ("PATH", "/usr/local/bin:/usr/bin:/bin");

/// A server with an OpenAI key of alice, whose API is on this machine.
struct Scene {
    installation: Installation,
    server: Process,
    /// Heads of the requests at the API.
    received: Arc<Mutex<Vec<String>>>,
    api: String,
    id: String,
}

impl Scene {
    async fn new() -> Self {
        let received: Arc<Mutex<Vec<String>>> = Arc::default();
        let note = Arc::clone(&received);
        let api = peers::answering(move |request| {
            note.lock().unwrap().push(request.to_owned());
            ("200 OK", "application/json", r#"{"data":["a-model"]}"#.to_owned())
        })
        .await;
        // The relay has the other name of this machine, so that no proxy is used for it.
        let api = api.replace("127.0.0.1", "localhost");
        let port = peers::free_port().await;
        let settings = format!(
            "[proxy]\nlisten = \"127.0.0.1:{port}\"\n[egress]\nallow = [\"127.0.0.0/8\"]\n[providers.openai.api_key]\nbase_url = \"{api}/v1\"\n"
        );
        let installation = Installation::new(&settings).await;
        let key = installation.key("alice");
        let server = installation.serve().await;
        let body = json!({"type": "api_key", "api_key": SECRET, "title": "t"});
        let path = "/v1/integrations/openai/credentials";
        let made = server.ask(Method::POST, path).key(&key).json(&body).send().await.is(201).json();
        Self { installation, server, received, api, id: made["id"].as_str().unwrap().to_owned() }
    }

    /// Runs a shell script as the command.
    fn shell(&self, options: &[&str], script: &str) -> (i32, String, String) {
        let words = [&["run"], options, &["--", "sh", "-c", script]].concat();
        self.installation.start(&words, &[PATH]).end()
    }

    fn received(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }

    /// Creates a key of alice, in a file.
    fn key_file(&self, name: &str, permissions: &[&str]) -> String {
        self.key_file_with(name, &["--user", "alice"], permissions)
    }

    fn key_file_with(&self, name: &str, options: &[&str], permissions: &[&str]) -> String {
        let words = [&["key", "create"], options, &["--permission"], permissions].concat();
        let path = self.installation.path(name);
        std::fs::write(&path, self.installation.run(&words).must_succeed().stdout()).unwrap();
        path.display().to_string()
    }

    /// Stores another key of alice for the same API, and returns its id.
    async fn second_credential(&self) -> String {
        let key = self.installation.key("alice");
        let body = json!({"type": "api_key", "api_key": "sk-second", "title": "t"});
        let url = format!("{}/v1/integrations/openai/credentials", self.server.url);
        let made = Ask::new(Method::POST, url).key(&key).json(&body).send().await.is(201).json();
        made["id"].as_str().unwrap().to_owned()
    }

    /// Returns the status of each key that a run made.
    fn made_keys(&self) -> Vec<String> {
        let keys = self.installation.run(&["key", "list", "--json"]).must_succeed().json();
        let made = keys.as_array().unwrap().iter().filter(|key| key["name"] == "strongroom run");
        made.map(|key| key["status"].as_str().unwrap().to_owned()).collect()
    }
}

/// Requests the models, as an SDK does.
const REQUEST: &str = r#"curl -sS "$OPENAI_BASE_URL/models" -H "Authorization: Bearer $OPENAI_API_KEY""#;

#[tokio::test(flavor = "multi_thread")]
async fn command_uses_a_base_url_and_sees_no_secret() {
    let scene = Scene::new().await;
    let (code, stdout, stderr) = scene.shell(&[], &format!("{REQUEST}; echo; env; cat /proc/self/environ"));
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.starts_with("{\"data\":[\"a-model\"]}\n"), "{stdout}\n{stderr}");
    assert!(stdout.contains(&format!("/v1/proxy/{}\n", scene.id)) && stdout.contains("OPENAI_API_KEY=sk-proj-"));
    assert!(
        stdout.contains("http_proxy=http://127.0.0.1:")
            && stdout.contains("NO_PROXY=127.0.0.1,::1,host.docker.internal\n")
    );
    for hidden in [SECRET, "srk_", "STRONGROOM_"] {
        assert!(!stdout.contains(hidden) && !stderr.contains(hidden), "{hidden}: {stdout}\n{stderr}");
    }
    assert!(stderr.contains("This is not a sandbox") && stderr.contains("OPENAI_BASE_URL"), "{stderr}");
    let received = scene.received();
    assert_eq!(received.len(), 1, "{received:?}");
    assert!(received[0].starts_with("GET /v1/models HTTP/1.1\r\n"), "{received:?}");
    assert!(received[0].contains(&format!("Bearer {SECRET}\r\n")) && !received[0].contains("sk-proj-"), "{received:?}");
    assert_eq!(scene.made_keys(), ["revoked"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn python_reads_the_variables_and_streams() {
    let scene = Scene::new().await;
    let script = "import os, urllib.request as u\n\
        r = u.Request(os.environ['OPENAI_BASE_URL'] + '/chat', data=b'x' * 3000000, method='POST')\n\
        r.add_header('Authorization', 'Bearer ' + os.environ['OPENAI_API_KEY'])\n\
        print(u.urlopen(r).status)\n";
    let words = ["run", "--credential", &scene.id, "--", "python3", "-c", script];
    let (code, stdout, stderr) = scene.installation.start(&words, &[PATH]).end();
    assert_eq!((code, stdout.as_str()), (0, "200\n"), "{stderr}");
    let other = "import os, urllib.request as u\n\
        base = os.environ['OPENAI_BASE_URL'].rsplit('/', 1)[0]\n\
        u.urlopen(base + '/00000000-0000-4000-8000-000000000000/x')\n";
    let words = ["run", "--credential", &scene.id, "--", "python3", "-c", other];
    let (code, _, stderr) = scene.installation.start(&words, &[PATH]).end();
    assert!(code == 1 && stderr.contains("HTTP Error 403"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_code_and_signals_are_those_of_the_command() {
    let scene = Scene::new().await;
    assert_eq!(scene.shell(&[], "exit 7").0, 7);
    assert_eq!(scene.shell(&[], "kill -KILL $$").0, 137);
    let (code, _, stderr) = scene.installation.start(&["run", "--", "no-such-command"], &[PATH]).end();
    assert!(code == 127 && stderr.contains("cannot run no-such-command"), "{stderr}");
    let script = "trap 'exit 9' TERM; trap 'echo interrupted >&2' INT; echo begun >&2; while :; do sleep 0.05; done";
    let mut running = scene.installation.start(&["run", "--", "sh", "-c", script], &[PATH]);
    running.says("begun");
    assert_eq!(scene.made_keys().last().unwrap(), "active");
    running.signal("INT");
    running.says("interrupted");
    running.signal("TERM");
    assert_eq!(running.end().0, 9);
    assert_eq!(scene.made_keys(), ["revoked"; 4]);
    // Files of the command have the mode that the user's umask says.
    let (_, stdout, _) = scene.shell(&[], "umask");
    assert_ne!(stdout, "0077\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_obtain_secrets_are_refused() {
    let scene = Scene::new().await;
    for options in [&["--user", "alice"][..], &["--user", "alice", "--provider", "github"]] {
        let wide = scene.key_file_with("wide", options, &["PROXY_INTEGRATIONS", "USE_INTEGRATIONS"]);
        let (code, _, stderr) = scene.shell(&["--key-file", &wide], "echo ran >&2");
        assert!(code == 2 && stderr.contains("has USE_INTEGRATIONS") && !stderr.contains("ran"), "{stderr}");
    }
    let none = scene.key_file("none", &["READ_INTEGRATIONS"]);
    let (code, _, stderr) = scene.shell(&["--key-file", &none], "echo ran >&2");
    assert!(code == 2 && stderr.contains("lacks PROXY_INTEGRATIONS") && !stderr.contains("ran"), "{stderr}");
    let unknown = [PATH, ("STRONGROOM_API_KEY", "srk_unknown")];
    let (code, _, stderr) = scene.installation.start(&["run", "--", "true"], &unknown).end();
    assert!(code == 1 && stderr.contains("does not accept this API key"), "{stderr}");
    for (value, message) in [("", "STRONGROOM_API_KEY is empty"), (" \n", "STRONGROOM_API_KEY is empty")] {
        let (code, _, stderr) =
            scene.installation.start(&["run", "--", "true"], &[PATH, ("STRONGROOM_API_KEY", value)]).end();
        assert!(code == 2 && stderr.contains(message), "{stderr}");
    }
    let agent = scene.key_file("agent", &["PROXY_INTEGRATIONS"]);
    let (code, _, stderr) = scene.shell(&["--key-file", &agent, "--user", "bob"], "true");
    assert!(code == 2 && stderr.contains("belongs to one user") && stderr.contains("leave out --user"), "{stderr}");
    let (code, _, stderr) = scene.shell(&["--key-file", &agent, "--server", &scene.api], "true");
    let message = format!("the server at {}/ answered 200 OK, and not as Strongroom does", scene.api);
    assert!(code == 1 && stderr.contains(&message) && stderr.contains("check --server"), "{stderr}");
    let service = scene.key_file_with("service", &["--service", "--users", "alice"], &["PROXY_INTEGRATIONS"]);
    let (code, _, stderr) = scene.shell(&["--key-file", &service], "true");
    assert!(code == 2 && stderr.contains("name the user with --user"), "{stderr}");
    let (code, _, stderr) = scene.shell(&["--key-file", &service, "--user", "bob"], "true");
    assert!(code == 1 && stderr.contains("This API key may not act for this user"), "{stderr}");
    assert!(scene.made_keys().is_empty());
    let (code, _, stderr) = scene.shell(&["--user", "nobody-here"], "true");
    assert!(code == 1 && stderr.contains("there is no user nobody-here"), "{stderr}");
    scene.server.signal("KILL");
    let (code, _, stderr) = scene.shell(&[], "true");
    assert!(code == 1 && stderr.contains("does not answer"), "{stderr}");
    assert_eq!(scene.made_keys(), ["revoked"]);
}

/// A command that any user may run as another one.
fn as_nobody(words: &[&str]) -> Option<Command> {
    let is_root = rustix::process::geteuid().is_root();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).args(words);
    (is_root && Command::new("setpriv").arg("--version").output().is_ok()).then_some(command)
}

#[tokio::test(flavor = "multi_thread")]
async fn other_users_cannot_use_the_relay() {
    if as_nobody(&[]).is_none() {
        return;
    }
    let scene = Scene::new().await;
    let script = format!("setpriv --reuid=65534 --regid=65534 --clear-groups {REQUEST}; echo $?");
    let (code, stdout, stderr) = scene.shell(&[], &script);
    assert_eq!(code, 0, "{stderr}");
    assert!(!stdout.contains("a-model") && stdout.ends_with('\n') && stdout != "0\n", "{stdout} {stderr}");
    assert!(scene.received().is_empty());
    // With a token in its URL, the relay serves a client that knows it.
    let (_, stdout, stderr) = scene.shell(&["--proxy-auth"], &script);
    assert!(stdout.contains("a-model"), "{stdout} {stderr}");
    let without = format!("OPENAI_BASE_URL=$(echo $OPENAI_BASE_URL | sed 's,/[^/]*/v1/,/v1/,'); {REQUEST}");
    let (_, stdout, _) = scene.shell(&["--proxy-auth"], &without);
    assert!(!stdout.contains("a-model"), "{stdout}");
    assert_eq!(scene.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn command_cannot_read_the_relay() {
    let scene = Scene::new().await;
    let key = scene.key_file("agent", &["PROXY_INTEGRATIONS"]);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::copy(&key, path("key")).unwrap();
    let url = scene.server.url.trim_start_matches("http://");
    std::fs::write(path("strongroom.toml"), format!("[server]\nlisten = \"{url}\"\n")).unwrap();
    for file in [folder.path().to_owned(), path("key"), path("strongroom.toml")] {
        std::os::unix::fs::chown(&file, Some(65534), Some(65534)).ok();
        let mode = if file.is_dir() { 0o700 } else { 0o600 };
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let script = format!(
        "for file in environ maps mem; do head -c 1 /proc/$PPID/$file >/dev/null 2>&1 && echo reads $file; done; \
         curl -s -o /dev/null -w '%{{http_code}}' http://{url}/v1/integrations/openai/credentials/{}/token; \
         ls -d /proc/$PPID/fd >/dev/null; ls /proc/$PPID/fd 2>/dev/null | wc -l",
        scene.id
    );
    let key_path = path("key").display().to_string();
    let program = [env!("CARGO_BIN_EXE_strongroom"), "run", "--key-file", &key_path, "--", "sh", "-c", &script];
    let Some(mut command) = as_nobody(&program) else { return };
    let output = command.env_clear().envs([PATH]).current_dir(folder.path()).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(stdout, "4010\n", "{stderr}");
    let text = std::fs::read_to_string(&key).unwrap();
    assert!(!stderr.contains(text.trim()), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_hosts_are_reached_through_the_relay() {
    let scene = Scene::new().await;
    let other = peers::answering(|request| {
        let line = request.lines().next().unwrap_or_default().to_owned();
        assert!(!request.to_ascii_lowercase().contains("proxy-"), "{request}");
        ("200 OK", "text/plain", line)
    })
    .await;
    let request = |options: &str| format!("curl -sS --noproxy '' {options} '{other}/x?a=1'");
    let (_, stdout, stderr) = scene.shell(&[], &request("-x \"$http_proxy\""));
    assert_eq!(stdout, "GET /x?a=1 HTTP/1.1", "{stderr}");
    let (_, stdout, stderr) = scene.shell(&[], &request("-p -x \"$HTTPS_PROXY\""));
    assert_eq!(stdout, "GET /x?a=1 HTTP/1.1", "{stderr}");
    let (_, stdout, stderr) = scene.shell(&["--proxy-auth"], &request("-p -x \"$HTTPS_PROXY\""));
    assert_eq!(stdout, "GET /x?a=1 HTTP/1.1", "{stderr}");
    let without = request("-x \"http://${HTTPS_PROXY#*@}\" -o /dev/null -w '%{http_code}'");
    let (_, stdout, stderr) = scene.shell(&["--proxy-auth"], &without);
    assert_eq!(stdout, "407", "{stderr}");
    assert!(scene.received().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_other_hosts_have_one_end() {
    use std::io::{Read as _, Write as _};
    let scene = Scene::new().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        assert!(stream.read(&mut [0; 1024]).unwrap() > 0);
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(format!("{head}4\r\nfine\r\n0\r\n\r\n").as_bytes()).unwrap();
    });
    let (_, stdout, stderr) = scene.shell(&[], &format!("curl -sS -i --noproxy '' -x \"$http_proxy\" {url}"));
    assert!(stdout.ends_with("\r\n\r\nfine") && !stdout.to_lowercase().contains("content-length"), "{stdout}{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_shows_what_goes_through_the_relay() {
    let scene = Scene::new().await;
    let (code, stdout, stderr) = scene.installation.start(&["run", "--check"], &[PATH]).end();
    assert_eq!(code, 0, "{stderr}");
    let line = stdout.lines().find(|line| line.starts_with("curl")).unwrap_or_else(|| panic!("{stdout}"));
    let cells: Vec<&str> = line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect();
    assert_eq!(cells, ["curl", "through the relay", "through the relay"]);
    assert_eq!(scene.made_keys(), ["revoked"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn run_works_beside_dev() {
    use std::io::BufRead as _;
    let desk = Desk::new();
    let start = || {
        let mut dev = desk.command(&["dev", "--print", "json", "--listen", "127.0.0.1:0"]).spawn().unwrap();
        let mut line = String::new();
        std::io::BufReader::new(dev.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (dev, serde_json::from_str::<Value>(&line).unwrap())
    };
    let (mut dev, ready) = start();
    let [url, key, proxy] = ["url", "api_key", "proxy_url"].map(|name| ready[name].as_str().unwrap().to_owned());
    let body = json!({"type": "api_key", "api_key": "s", "title": "t"});
    let create = Ask::new(Method::POST, format!("{url}/v1/integrations/sandbox/credentials")).key(&key).json(&body);
    create.send().await.is(201);
    let script = "echo \"$SANDBOX_TOKEN $SANDBOX_API_URL\"; echo begun >&2; read end; exit 3";
    let shown = desk.run(&["--dev", "config", "show"]);
    let mut run = Running::start(desk.command(&["--dev", "run", "--", "sh", "-c", script]));
    run.says("begun");
    // Its key is revoked in its own vault, although another server has come.
    let (mut other, _) = start();
    run.types("end");
    let (code, stdout, stderr) = run.end();
    for dev in [&mut dev, &mut other] {
        dev.kill().unwrap();
        dev.wait().unwrap();
    }
    assert_eq!(code, 3, "{stderr}");
    assert!(stdout.starts_with("strongroom_") && stdout.contains(" http://127.0.0.1:"), "{stdout}");
    assert!(!stderr.contains("Without a forward proxy") && !stderr.contains("not revoked"), "{stderr}");
    let listen = format!("listen = \"{}\"", proxy.strip_prefix("http://").unwrap());
    assert!(shown.stdout.contains(&listen), "{}", shown.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_several_accounts_are_not_mixed() {
    let scene = Scene::new().await;
    let second = scene.second_credential().await;
    let (_, stdout, stderr) = scene.shell(&[], "echo \"[$OPENAI_BASE_URL]\"");
    assert_eq!(stdout, "[]\n");
    assert!(stderr.contains("OPENAI_API_KEY is not set: name one of the credentials with --credential: "), "{stderr}");
    assert_eq!(scene.shell(&["--credential", &second], REQUEST).0, 0);
    assert!(scene.received()[0].contains("Bearer sk-second\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn key_of_ones_own_sets_the_variables() {
    let scene = Scene::new().await;
    let key = scene.key_file("agent", &["PROXY_INTEGRATIONS"]);
    let (code, stdout, stderr) = scene.shell(&["--key-file", &key], REQUEST);
    assert!(code == 0 && stdout.contains("a-model"), "{stdout} {stderr}");
    assert!(scene.received()[0].contains(&format!("Bearer {SECRET}\r\n")));
    assert!(scene.made_keys().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn bound_hosts_go_through_the_forward_proxy() {
    let scene = Scene::new().await;
    let script = format!("curl -sS {}/v1/models; env", scene.api);
    let (_, stdout, stderr) = scene.shell(&[], &script);
    assert!(stdout.starts_with("{\"data\":[\"a-model\"]}"), "{stdout} {stderr}");
    let received = scene.received();
    assert!(received.len() == 1 && received[0].contains(&format!("Bearer {SECRET}\r\n")), "{received:?}");
    // The server's authority is beside the roots of the system.
    let bundle = stdout.lines().find_map(|line| line.strip_prefix("SSL_CERT_FILE=")).unwrap();
    assert!(stdout.contains(&format!("GIT_SSL_CAINFO={bundle}\n")) && !std::path::Path::new(bundle).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn command_acts_for_the_user_of_the_run_alone() {
    let scene = Scene::new().await;
    scene.installation.key("bob");
    let key = scene.key_file_with("service", &["--service"], &["PROXY_INTEGRATIONS"]);
    let header = "-H 'Strongroom-User: bob' -H 'strongroom-other: x'";
    let script =
        format!("curl -sS --noproxy '' -x \"$http_proxy\" {header} {}/v1/models; {REQUEST} {header}", scene.api);
    let (_, stdout, stderr) = scene.shell(&["--user", "alice", "--key-file", &key], &script);
    assert_eq!(stdout, "{\"data\":[\"a-model\"]}".repeat(2), "{stderr}");
    let received = scene.received();
    assert!(received.iter().all(|head| head.contains(&format!("Bearer {SECRET}\r\n"))), "{received:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn web_pages_cannot_use_the_relay() {
    let scene = Scene::new().await;
    let code = "-o /dev/null -w '%{http_code} '";
    let headers = [
        "Host: evil.example",
        "Host: 127.0.0.1",
        "Host:",
        "Origin: http://evil.example",
        "Origin: null",
        "Sec-Fetch-Site: cross-site",
        "Host: localhost:$port",
    ];
    let requests = headers.map(|header| format!("{REQUEST} {code} -H \"{header}\"")).join("; ");
    let script = format!("port=$(echo $OPENAI_BASE_URL | cut -d: -f3 | cut -d/ -f1); {requests}");
    let (_, stdout, stderr) = scene.shell(&[], &script);
    assert_eq!(stdout, "403 403 403 403 403 403 200 ", "{stderr}");
    assert_eq!(scene.received().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn named_credentials_limit_the_forward_proxy() {
    let scene = Scene::new().await;
    let second = scene.second_credential().await;
    let wide = scene.key_file("wide", &["PROXY_INTEGRATIONS"]);
    let header = format!("-H 'Strongroom-Credential: {second}'");
    let script = format!("curl -sS {header} {}/v1/models; {REQUEST}", scene.api);
    let (_, stdout, stderr) = scene.shell(&["--key-file", &wide, "--credential", &scene.id], &script);
    assert!(stdout.contains("no forward proxy for it") && stdout.ends_with("{\"data\":[\"a-model\"]}"), "{stdout}");
    assert!(stderr.contains("may use more credentials") && scene.received().len() == 1, "{stderr}");
    // A key that is limited to the credential keeps its forward proxy.
    let narrow =
        scene.key_file_with("narrow", &["--user", "alice", "--credential", &scene.id], &["PROXY_INTEGRATIONS"]);
    let (_, stdout, stderr) = scene.shell(&["--key-file", &narrow, "--credential", &scene.id], &script);
    assert!(stdout.contains("/problems/not-granted") && !stderr.contains("more credentials"), "{stdout}");
    let (code, _, stderr) = scene.shell(&["--key-file", &narrow, "--credential", &second], "echo ran >&2");
    assert!(code == 2 && stderr.contains("cannot use a credential") && !stderr.contains("ran"), "{stderr}");
    assert!(scene.received().iter().all(|head| head.contains(SECRET)));
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_end_the_setup() {
    let scene = Scene::new().await;
    // Never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let words = ["run", "--server", &url, "--", "sh", "-c", "echo ran >&2"];
        let running = scene.installation.start(&words, &[PATH]);
        let (_connection, _) = silent.accept().unwrap();
        assert_eq!(scene.made_keys().last().unwrap(), "active");
        running.signal(signal);
        let (ended, _, stderr) = running.end();
        assert!(ended == code && !stderr.contains("ran"), "{ended} {stderr}");
    }
    assert_eq!(scene.made_keys(), ["revoked"; 3]);
    // A probe of --check that takes long.
    let slow = scene.installation.path("curl");
    std::fs::write(&slow, "#!/bin/sh\n[ \"$1\" = --version ] && exit\ntouch probing\nexec sleep 60\n").unwrap();
    std::fs::set_permissions(&slow, std::fs::Permissions::from_mode(0o700)).unwrap();
    let path = format!("{}:{}", scene.installation.folder.path().display(), PATH.1);
    let running = scene.installation.start(&["run", "--check"], &[("PATH", &path)]);
    while !scene.installation.path("probing").exists() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    running.signal("TERM");
    assert_eq!(running.end().0, 143);
    assert_eq!(scene.made_keys(), ["revoked"; 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_node_is_warned_of() {
    let scene = Scene::new().await;
    let node = scene.installation.path("node");
    std::fs::write(&node, "#!/bin/sh\necho v20.1.2\n").unwrap();
    std::fs::set_permissions(&node, std::fs::Permissions::from_mode(0o700)).unwrap();
    let path = format!("{}:{}", scene.installation.folder.path().display(), PATH.1);
    let mut running = scene.installation.start(&["run", "--", "sh", "-c", "read end; exit 7"], &[("PATH", &path)]);
    let warning = running.says("go past the relay");
    assert!(warning.starts_with("warning: requests of Node.js v20.1.2"), "{warning}");
    running.types("end");
    assert_eq!(running.end().0, 7);
}

#[test]
fn forward_proxy_is_a_loopback_address() {
    let desk = Desk::new();
    for (address, message) in [
        ("http://127.0.0.1:8485", "write HOST:PORT, without a scheme"),
        ("127.0.0.1", "write HOST:PORT, such as 127.0.0.1:8485"),
        ("vault.example:8485", "the API key would cross the network in clear"),
        ("192.0.2.1:8485", "ssh -L 8485:127.0.0.1:8485 192.0.2.1"),
    ] {
        desk.run(&["run", "--forward-proxy", address, "--", "true"]).ended_with(2).complained(message);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn variables_with_secrets_are_not_inherited() {
    let scene = Scene::new().await;
    let file = scene.installation.path("strongroom.toml");
    let settings = std::fs::read_to_string(&file).unwrap();
    let settings = settings.replace("{ file = \"strongroom.key\" }", "{ env = \"MY_MASTER\" }")
        + "\n[providers.github]\nclient_id = \"x\"\nclient_secret = { env = \"MY_CLIENT\" }\n";
    std::fs::write(file, settings).unwrap();
    let master = std::fs::read_to_string(scene.installation.path("strongroom.key")).unwrap();
    let variables = [PATH, ("MY_MASTER", master.trim()), ("MY_CLIENT", "client-secret"), ("MY_OTHER", "kept")];
    let (code, stdout, stderr) = scene.installation.start(&["run", "--", "env"], &variables).end();
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("MY_OTHER=kept\n"), "{stdout}");
    assert!(!stdout.contains("MY_MASTER") && !stdout.contains("MY_CLIENT"), "{stdout}");
}

#[tokio::test(flavor = "multi_thread")]
async fn mcp_command_passes_messages_to_the_server() {
    let scene = Scene::new().await;
    let key = std::fs::read_to_string(scene.key_file("agent", &["PROXY_INTEGRATIONS"])).unwrap();
    let mut mcp = scene.installation.start(&["mcp"], &[PATH, ("STRONGROOM_API_KEY", key.trim())]);
    let call = json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call",
        "params": {"name": "http_get", "arguments": {"credential": scene.id, "path": "/models"}}});
    for message in [json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}), call] {
        mcp.types(&message.to_string());
    }
    let (code, stdout, stderr) = mcp.end();
    assert!(code == 0 && stdout.contains("http_send") && stdout.contains("a-model"), "{stdout} {stderr}");
    assert!(scene.received()[0].contains(&format!("Bearer {SECRET}\r\n")) && !stdout.contains(SECRET));
}

#[test]
fn commands_of_ca_trust_add_the_certificate() {
    let desk = Desk::initialised();
    let pem = desk.run(&["ca", "show"]).succeeded().stdout;
    let folder = "/usr/local/share/ca-certificates";
    if !std::path::Path::new(folder).is_dir() {
        return;
    }
    let printed = desk.run(&["ca", "trust", "--print"]).succeeded().stdout;
    assert!(
        printed.starts_with("sudo sh -c 'cat >/usr/local/share/ca-certificates/strongroom-proxy.crt && "),
        "{printed}"
    );
    // The store of this machine stays as it is.
    let script = printed.replace(folder, ".").replace("sudo ", "").replace("update-ca-certificates", "echo updated");
    let output = Command::new("sh").args(["-c", &script]).current_dir(desk.path("")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "updated\n", "{script}");
    assert_eq!(desk.read("strongroom-proxy.crt"), pem);
}
