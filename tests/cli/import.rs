//! Credentials in and out: files of AutoGPT Platform, Nango and n8n (`tests/import/`), and sealed exports from vault to vault.

use std::path::{Path, PathBuf};

use crate::support::command::{Desk, Said};
use crate::support::process::{Installation, sandbox, sandbox_settings};
use http::Method;
use serde_json::{Value, json};
use strongroom::clock::Clock;
use strongroom::random::Random;
use strongroom::vault::{AuditContext, CredentialPage, CredentialSecret, MasterKey, OpenMode, Vault};

const ALICE: &str = "3e53486c-cf57-477e-ba2a-cb02dc828e1a";
const PASSPHRASE: &str = "correct horse battery";

fn sample(name: &str) -> String {
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import").join(name);
    path.to_str().unwrap().to_owned()
}

fn import(desk: &Desk, name: &str, more: &[&str]) -> Said {
    let (file, key) = (sample(name), sample("autogpt.key"));
    let mut arguments = vec!["credential", "import", &file, "--json"];
    if more.contains(&"autogpt") {
        arguments.extend(["--key-file", &key]);
    }
    desk.run(&[&arguments[..], more].concat())
}

/// Outcome, provider, kind and title of each item of a report.
fn lines(report: &Value) -> Vec<[String; 4]> {
    let text = |item: &Value, name: &str| item[name].as_str().unwrap_or("-").to_owned();
    let items = report["items"].as_array().unwrap();
    items.iter().map(|item| ["outcome", "provider", "type", "title"].map(|name| text(item, name))).collect()
}

/// The report's entry for the item with this title.
fn reason(report: &Value, title: &str) -> String {
    let item = report["items"].as_array().unwrap().iter().find(|item| item["title"] == title);
    item.unwrap_or_else(|| panic!("no {title}"))["reason"].as_str().unwrap_or_default().to_owned()
}

fn vault(desk: &Desk) -> Vault {
    let key = MasterKey::parse_file_text(&desk.read("strongroom.key")).unwrap();
    Vault::open(&desk.path("strongroom.db"), &key, OpenMode::Command, Clock::system(), Random).unwrap()
}

/// Every secret of a user, by the provider.
async fn secrets(desk: &Desk, user: &str) -> Vec<(String, String)> {
    let vault = vault(desk);
    let mut secrets = Vec::new();
    for summary in vault.credentials().list(&user.parse().unwrap(), None, CredentialPage::default()).unwrap() {
        let (summary, material) = vault
            .credentials()
            .read_secret(&summary.user, &summary.id, &AuditContext::system())
            .await
            .unwrap()
            .unwrap();
        let text = match material {
            CredentialSecret::OAuth2(tokens) => format!(
                "{} {} {}",
                tokens.access_token.expose(),
                tokens.refresh_token.as_ref().map_or("-", |token| token.expose()),
                json!(tokens.metadata)
            ),
            CredentialSecret::ApiKey(key) => key.expose().to_owned(),
            CredentialSecret::UserPassword { username, password } => {
                format!("{} {}", username.expose(), password.expose())
            }
            CredentialSecret::HostScoped { host, headers } => {
                let headers: Vec<_> =
                    headers.iter().map(|(name, value)| format!("{name}: {}", value.expose())).collect();
                format!("{host} {}", headers.join(", "))
            }
        };
        secrets.push((summary.provider.to_string(), text));
    }
    secrets
}

fn audited(desk: &Desk, action: &str) -> u32 {
    let file = rusqlite::Connection::open(desk.path("strongroom.db")).unwrap();
    file.query_row("SELECT count(*) FROM audit WHERE action = ?", [action], |row| row.get(0)).unwrap()
}

/// Nothing that a command said has a secret of the samples in it.
#[track_caller]
fn no_secret_in(said: &Said) {
    for secret in
        ["imported-", "nango-refresh", "nango-access", "nango-oauth1", "-key", "n8n-", "ya29", "gho_", "gAAAA"]
    {
        // Names that are no secrets.
        let text = format!("{}{}", said.stdout, said.stderr).replace("strongroom-", "").replace("--key-file", "");
        assert!(!text.contains(secret), "{secret} is in: {text}");
    }
}

#[tokio::test]
async fn autogpt_rows_are_imported_per_user() {
    let desk = Desk::initialised();
    let said = import(&desk, "autogpt.csv", &["--from", "autogpt"]).ended_with(1).complained("2 of 8 items of");
    no_secret_in(&said);
    let report = said.json();
    assert_eq!(
        lines(&report),
        [
            ["imported", "github", "oauth2", "Alice at GitHub"],
            ["imported", "google", "oauth2", "Google"],
            ["imported", "openai", "api_key", "OpenAI"],
            ["imported", "smtp", "user_password", "Mail"],
            ["imported", "http", "host_scoped", "Internal"],
            ["not_imported", "nobody_knows_this", "-", "Odd"],
            ["imported", "anthropic", "api_key", "Claude"],
            ["not_imported", "", "-", ""],
        ]
        .map(|line| line.map(str::to_owned)),
        "a title that is the key itself is not shown"
    );
    assert!(reason(&report, "Odd").contains("--map nobody_knows_this=PROVIDER"), "{report}");
    assert!(reason(&report, "").contains("belongs to the platform"), "{report}");
    let pair = |(provider, secret): (&str, &str)| (provider.to_owned(), secret.to_owned());
    let expected = [
        ("github", "gho_imported-access-token - {}"),
        ("google", "ya29.imported-access-token 1//imported-refresh-token {}"),
        ("openai", "sk-imported-openai-key"),
        ("smtp", "alice@mail.example imported-smtp-password"),
        ("http", "*.example.com Authorization: Bearer imported-header-value"),
    ];
    assert_eq!(secrets(&desk, ALICE).await, expected.map(pair));
    let listed = desk.run(&["credential", "list", "--user", ALICE, "--json"]).succeeded().json();
    assert_eq!(
        (&listed[0]["scopes"], &listed[0]["username"], &listed[1]["expires_at"], &listed[2]["expires_at"]),
        (&json!(["repo", "read:user"]), &json!("alice-gh"), &json!(1_764_000_000), &json!(4_102_444_800_i64))
    );
    assert_eq!(audited(&desk, "credential.import"), 6);
}

#[tokio::test]
async fn second_import_duplicates_nothing_unless_told() {
    let desk = Desk::initialised();
    let counts =
        |report: &Value| ["imported", "already_here", "not_imported"].map(|name| report[name].as_u64().unwrap());
    let rehearsed = import(&desk, "autogpt.csv", &["--from", "autogpt", "--dry-run"]).ended_with(1).json();
    assert_eq!((counts(&rehearsed), rehearsed["dry_run"].as_bool()), ([6, 0, 2], Some(true)));
    assert_eq!((audited(&desk, "credential.import"), secrets(&desk, ALICE).await.len()), (0, 0), "nothing was written");
    let first = import(&desk, "autogpt.csv", &["--from", "autogpt"]).ended_with(1).json();
    let again =
        import(&desk, "autogpt.csv", &["--from", "autogpt", "--map", "nobody_knows_this=openai"]).ended_with(1).json();
    assert_eq!((counts(&first), counts(&again)), ([6, 0, 2], [1, 6, 1]));
    assert_eq!(first["items"][0]["credential"], again["items"][0]["credential"], "it is said which one is here");
    let doubled = import(&desk, "autogpt.csv", &["--from", "autogpt", "--duplicates"]).ended_with(1).json();
    assert_eq!(counts(&doubled), [6, 0, 2]);
    assert_eq!(secrets(&desk, ALICE).await.len(), 10);
}

#[tokio::test]
async fn autogpt_column_needs_the_user_and_the_right_key() {
    let desk = Desk::initialised();
    let csv = std::fs::read_to_string(sample("autogpt.csv")).unwrap();
    let sealed = csv.lines().nth(1).unwrap().split(',').nth(1).unwrap();
    desk.write("one.txt", sealed);
    desk.write(
        "rows.json",
        &json!([{"id": "bob", "integrations": sealed}, {"id": "eve", "integrations": ""}]).to_string(),
    );
    let key = std::fs::read_to_string(sample("autogpt.key")).unwrap();
    let run = |file: &str, more: &[&str], key: &str| {
        let arguments = ["credential", "import", file, "--from", "autogpt", "--key-file", "-", "--json"];
        desk.run_with(&[&arguments[..], more].concat(), key)
    };
    let nobody = run("one.txt", &[], &key).ended_with(1).json();
    assert!(reason(&nobody, "Mail").contains("--user"), "{nobody}");
    assert_eq!(run("one.txt", &["--user", "alice"], &key).succeeded().json()["imported"], 5);
    assert_eq!(run("rows.json", &[], &key).succeeded().json()["imported"], 5);
    assert_eq!((secrets(&desk, "alice").await, secrets(&desk, "eve").await.len()), (secrets(&desk, "bob").await, 0));
    let other = run("rows.json", &[], "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").ended_with(1).json();
    assert!(reason(&other, "").contains("the key does not decrypt it"), "{other}");
    run("rows.json", &[], "hunter2").ended_with(1).complained("not a Fernet key");
}

#[tokio::test]
async fn nango_connections_keep_the_inputs_of_their_urls() {
    let desk = Desk::initialised();
    let said = import(&desk, "nango.json", &["--from", "nango"]).ended_with(1);
    no_secret_in(&said);
    let report = said.json();
    let outcomes: Vec<_> = lines(&report).into_iter().map(|[outcome, provider, ..]| [outcome, provider]).collect();
    let expected = [
        ["imported", "gmail"],
        ["imported", "zendesk"],
        ["imported", "openai"],
        ["not_imported", "quickbase"],
        ["not_imported", "github"],
    ];
    assert_eq!(outcomes, expected.map(|line| line.map(str::to_owned)));
    let reasons: Vec<&str> =
        report["items"].as_array().unwrap().iter().filter_map(|item| item["reason"].as_str()).collect();
    assert!(reasons[0].contains("type OAUTH1") && reasons[1].contains("fetch each connection"), "{reasons:?}");
    let note = report["items"][0]["note"].as_str().unwrap();
    assert!(note.contains("providers.gmail.client_id"), "{note}");
    let gmail = ("gmail".to_owned(), "ya29.nango-access 1//nango-refresh {}".to_owned());
    assert_eq!(secrets(&desk, "alice").await, [gmail], "the application's user, not the connection's id");
    let of_bob = secrets(&desk, "bob").await;
    assert_eq!(of_bob[0].1, r#"nango-zendesk-access - {"inputs":{"subdomain":"acme"}}"#);
    assert_eq!(of_bob[1].1, "nango-openai-key");
    let all_carols =
        import(&desk, "nango.json", &["--from", "nango", "--user", "carol", "--map", "my-openai=anthropic"]);
    assert_eq!(lines(&all_carols.ended_with(1).json())[2][1], "anthropic");
    assert_eq!(secrets(&desk, "carol").await.len(), 3);
}

#[tokio::test]
async fn n8n_types_are_mapped() {
    let desk = Desk::initialised();
    import(&desk, "n8n.json", &["--from", "n8n"]).ended_with(2).complained("--user");
    let said = import(&desk, "n8n.json", &["--from", "n8n", "--user", "alice"]).ended_with(1);
    no_secret_in(&said);
    let report = said.json();
    for (title, why) in [
        ("Basic", "--host D8QGF4LgnCiQQz9Q=HOST"),
        ("Slack, never connected", "no account was connected"),
        ("Some database", "type postgres"),
        ("Still sealed", "--decrypted"),
    ] {
        assert!(reason(&report, title).contains(why), "{title}: {}", reason(&report, title));
    }
    let host = ["--from", "n8n", "--user", "alice", "--host", "D8QGF4LgnCiQQz9Q=https://basic.example.com"];
    assert_eq!(import(&desk, "n8n.json", &host).ended_with(1).json()["imported"], 1);
    let expected = [
        ("github", "ghp_n8n-key"),
        ("google_sheets", "ya29.n8n-access 1//n8n-refresh {}"),
        ("http", "api.example.com X-Key: n8n-header-value"),
        ("zendesk", "agent@example.com:n8n-zendesk-token"),
        ("http", "https://basic.example.com Authorization: Basic bjhuLXVzZXI6bjhuLXBhc3N3b3Jk"),
    ];
    assert_eq!(
        secrets(&desk, "alice").await,
        expected.map(|(provider, secret)| (provider.to_owned(), secret.to_owned()))
    );
}

#[test]
fn unrecognised_files_are_rejected_whole() {
    let desk = Desk::initialised();
    desk.write("junk", "hunter2 is my password");
    desk.write("list", "[1, {\"connection_id\": \"x\"}]");
    for (from, file) in [("nango", "junk"), ("n8n", "junk"), ("n8n", "list"), ("strongroom", "junk")] {
        let mut arguments = vec!["credential", "import", file, "--from", from, "--user", "alice"];
        if from == "strongroom" {
            arguments.extend(["--passphrase-file", "junk"]);
        }
        let said = desk.run(&arguments).ended_with(1);
        assert!(said.stderr.contains("the file is not") || said.stderr.contains("not an export"), "{}", said.stderr);
        assert!(!said.stderr.contains("hunter2"), "{}", said.stderr);
    }
    let huge = desk.path("huge");
    std::fs::File::create(&huge).unwrap().set_len(33 << 20).unwrap();
    desk.run(&["credential", "import", "huge", "--from", "nango"]).ended_with(1).complained("larger than 32 MiB");
    desk.run(&["credential", "import", "junk", "--from", "nango", "--map", "x=githup"])
        .ended_with(1)
        .complained("githup");
    assert_eq!(audited(&desk, "credential.import"), 0);
}

/// A Nango connection of the user alice with an API key.
fn connection(id: &str, key: &str) -> Value {
    json!({"connection_id": id, "provider_config_key": "openai", "end_user": {"id": "alice"},
           "credentials": {"type": "API_KEY", "apiKey": key}})
}

/// Imports a file of Nango, and returns source id, outcome and reason of each item.
fn outcomes(desk: &Desk, file: &str) -> Vec<[String; 3]> {
    let report = desk.run(&["credential", "import", file, "--from", "nango", "--json"]).json();
    let text = |item: &Value, name: &str| item[name].as_str().unwrap_or_default().to_owned();
    let items = report["items"].as_array().unwrap();
    items.iter().map(|item| ["source_id", "outcome", "reason"].map(|name| text(item, name))).collect()
}

#[tokio::test]
async fn bad_lines_are_reported_with_their_number() {
    let desk = Desk::initialised();
    let (first, last) = (connection("a", "sk-first\r\n"), connection("b", "\u{feff}sk-last\n"));
    let html = "<html>\n<body>502 Bad Gateway</body>\n</html>";
    desk.write(
        "lines",
        &format!("\u{feff}{first}\r\n{{\"error\":{{\"code\":\"unknown_connection\"}}}}\n{html}\nhunter2\n{last}\n"),
    );
    let said = desk.run(&["credential", "import", "lines", "--from", "nango"]).ended_with(1);
    assert!(said.stderr.contains("2 of 4 items of") && !said.stdout.contains("hunter2"), "{}", said.stderr);
    let outcomes = outcomes(&desk, "lines");
    let expected = [
        ["a", "already_here", ""],
        ["item 2, line 2", "not_imported", "the other program answered with an error: unknown_connection"],
        ["item 3, line 3", "not_imported", "it is not JSON, or a member occurs twice (up to line 6)"],
        ["b", "already_here", ""],
    ];
    assert_eq!(outcomes, expected.map(|line| line.map(str::to_owned)));
    let stored: Vec<_> = secrets(&desk, "alice").await.into_iter().map(|(_, secret)| secret).collect();
    assert_eq!(stored, ["sk-first", "sk-last"], "without line ends and byte order mark");
}

#[tokio::test]
async fn objects_and_files_come_one_after_the_other() {
    let desk = Desk::initialised();
    let all: Vec<Value> = ["a", "b", "c", "d"].map(|id| connection(id, &format!("sk-key-{id}"))).into();
    desk.write("joined", &format!("{}{:#}[{}]", all[0], all[1], all[2]));
    assert_eq!(outcomes(&desk, "joined").len(), 3);
    std::fs::create_dir_all(desk.path("folder/inner")).unwrap();
    let utf16: Vec<u8> =
        "\u{feff}".encode_utf16().chain(all[3].to_string().encode_utf16()).flat_map(u16::to_le_bytes).collect();
    std::fs::write(desk.path("folder/d.json"), utf16).unwrap();
    desk.write("folder/a.json", &all[0].to_string());
    desk.write("folder/note.txt", "not a connection");
    desk.write("folder/.hidden", "not a connection");
    let report = desk.run(&["credential", "import", "folder", "--from", "nango", "--json"]).ended_with(1).json();
    let items = report["items"].as_array().unwrap();
    let told: Vec<_> =
        items.iter().map(|item| (item["file"].as_str().unwrap(), item["outcome"].as_str().unwrap())).collect();
    assert_eq!(told, [("a.json", "already_here"), ("d.json", "imported"), ("note.txt", "not_imported")]);
    assert_eq!(secrets(&desk, "alice").await.len(), 4);
    let said = desk.run(&["credential", "import", "folder", "--from", "nango"]).ended_with(1);
    assert!(said.stdout.contains("note.txt: the file is not in Nango's format"), "{}", said.stdout);
    std::fs::create_dir(desk.path("empty")).unwrap();
    desk.run(&["credential", "import", "empty", "--from", "nango"]).ended_with(1).complained("empty has no files");
}

#[test]
fn placeholders_are_not_imported() {
    let desk = Desk::initialised();
    let texts =
        ["={{ $secrets.key }}", "Bearer {{token}}", "${OPENAI_KEY}", "$OPENAI_KEY", "<your key>", "****", " \n"];
    let lines: Vec<String> = texts.iter().map(|text| connection("a", text).to_string()).collect();
    desk.write("lines", &lines.join("\n"));
    let outcomes = outcomes(&desk, "lines");
    assert_eq!(outcomes.len(), texts.len());
    for ([_, outcome, reason], text) in outcomes.iter().zip(texts) {
        assert_eq!(outcome, "not_imported", "{text}");
        let expected =
            if text.trim().is_empty() { "apiKey is missing" } else { "the key is an expression or a placeholder" };
        assert!(reason.starts_with(expected) && !reason.contains(text), "{text}: {reason}");
    }
    let n8n = |data: Value, kind: &str| json!({"id": "1", "name": "N", "type": kind, "data": data});
    let all = json!([
        n8n(json!({"name": "X-Key", "value": "={{ $json.key }}"}), "httpHeaderAuth"),
        n8n(json!({"oauthTokenData": {"access_token": "={{ $json.token }}"}}), "githubOAuth2Api"),
        n8n(json!({"user": "u", "password": "={{ $env.PASSWORD }}"}), "smtp"),
        n8n(json!({"token": "{{ $json.token }}"}), "httpBearerAuth"),
        // n8n evaluates every value that begins with `=`, with and without braces.
        n8n(json!({"apiKey": "=sk-n8n"}), "openAiApi"),
        n8n(json!({"token": "=n8n-token"}), "httpBearerAuth"),
        n8n(json!({"user": "=n8n-user", "password": "p"}), "httpBasicAuth"),
        n8n(json!({"name": "=X-Key", "value": "v"}), "httpHeaderAuth"),
        n8n(json!({"email": "a@example.com", "apiToken": "=n8n-token"}), "zendeskApi"),
        n8n(json!({"accessToken": "=n8n-unlisted"}), "someOtherApi"),
        n8n(json!({"oauthTokenData": {"access_token": "a", "refresh_token": "=r"}}), "githubOAuth2Api"),
        n8n(
            json!({"oauthTokenData": {"access_token": "a"}, "grantType": "clientCredentials",
                   "clientId": "c", "clientSecret": "=n8n-secret"}),
            "githubOAuth2Api"
        ),
    ]);
    desk.write("n8n.json", &all.to_string());
    let report = desk
        .run(&[
            "credential",
            "import",
            "n8n.json",
            "--from",
            "n8n",
            "--user",
            "alice",
            "--host",
            "1=x.example",
            "--json",
        ])
        .ended_with(1)
        .json();
    assert_eq!(report["not_imported"], 12, "{report}");
    for (at, item) in report["items"].as_array().unwrap().iter().enumerate() {
        let reason = item["reason"].as_str().unwrap();
        assert!(reason.contains("is an expression or a placeholder") && !reason.contains('='), "{item}");
        assert_eq!((item["number"].as_u64(), item["line"].as_u64()), (Some(at as u64 + 1), Some(1)), "{item}");
    }
}

#[test]
fn expiry_without_zone_or_in_milliseconds_is_understood() {
    let desk = Desk::initialised();
    let tokens = |id: &str, expires_at: Value| {
        json!({"connection_id": id, "provider_config_key": "github", "end_user": {"id": "alice"},
               "credentials": {"type": "OAUTH2", "access_token": format!("gho-{id}"), "expires_at": expires_at}})
    };
    let lines = [
        tokens("a", json!("2030-01-02T11:00:00")),
        tokens("b", json!(1_893_582_000_000_i64)),
        tokens("c", json!("1893582000")),
        tokens("d", json!("next week")),
    ];
    desk.write("lines", &lines.map(|line| line.to_string()).join("\n"));
    let outcomes = outcomes(&desk, "lines");
    assert!(outcomes[..3].iter().all(|[_, outcome, _]| outcome == "imported"), "{outcomes:?}");
    assert!(outcomes[3][2].starts_with("expires_at is not a time"), "{outcomes:?}");
    for one in desk.run(&["credential", "list", "--json"]).succeeded().json().as_array().unwrap() {
        assert_eq!(one["expires_at"], 1_893_582_000, "{one}");
    }
}

/// Each item was compared with every credential of its user: ten times the items took a hundred
/// times as long.
#[tokio::test]
async fn import_takes_linear_time_and_tells_its_progress() {
    let desk = Desk::initialised();
    let lines = |from: usize, to: usize| {
        (from..to).map(|n| connection(&format!("c{n}"), &format!("sk-key-{n}")).to_string() + "\n").collect::<String>()
    };
    desk.write("few", &lines(0, 200));
    desk.write("many", &lines(200, 2200));
    // Counts processor time, which other processes do not change.
    let measured = |file: &str| {
        let import = desk.command(&["credential", "import", file, "--from", "nango", "--json"]);
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", "\"$@\" >/dev/null && cat /proc/$$/stat", "sh"]).arg(import.get_program());
        shell.args(import.get_args()).env_clear();
        shell.envs(import.get_envs().filter_map(|(name, value)| Some((name, value?)))).env("PATH", "/usr/bin:/bin");
        let ended = shell.current_dir(import.get_current_dir().unwrap()).output().unwrap();
        let (stat, said) = (String::from_utf8(ended.stdout).unwrap(), String::from_utf8(ended.stderr).unwrap());
        // After the name in brackets: cutime and cstime, of the children that ended (proc_pid_stat(5)).
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks = |field: usize| fields[field].parse::<u64>().unwrap();
        (ticks(13) + ticks(14), said)
    };
    let (few, quiet) = measured("few");
    let (many, progress) = measured("many");
    assert!(many < few * 20, "200 items took {few} ticks, 2000 items {many}");
    assert!(quiet.is_empty() && progress.contains("1000 of 2000 items"), "{progress}");
    assert_eq!(secrets(&desk, "alice").await.len(), 2200);
}

#[tokio::test]
async fn export_moves_everything_under_its_passphrase() {
    let (here, there) = (Desk::initialised(), Desk::initialised());
    import(&here, "autogpt.csv", &["--from", "autogpt"]).ended_with(1);
    let file = there.path("all.strongroom").to_str().unwrap().to_owned();
    let export = |more: &[&str], passphrase: &str| {
        here.run_with(
            &[&["credential", "export", &file, "--passphrase-file", "-", "--json"][..], more].concat(),
            passphrase,
        )
    };
    export(&[], "short").ended_with(1).complained("shorter than 12 characters");
    export(&["--user", "nobody"], PASSPHRASE).ended_with(1).complained("there is no user nobody");
    export(&["--provider", "slack"], PASSPHRASE).ended_with(1).complained("there are no credentials to export");
    assert!(!Path::new(&file).exists(), "there is a file only where the export is whole");
    let said = export(&[], PASSPHRASE).succeeded();
    no_secret_in(&said);
    assert_eq!(said.json()["credentials"].as_array().unwrap().len(), 6);
    assert_eq!(audited(&here, "credential.export"), 6);
    export(&[], PASSPHRASE).ended_with(1).complained("already exists");
    let bytes = std::fs::read(&file).unwrap();
    assert!(!bytes.windows(8).any(|part| part == b"imported"), "nothing of it is in the clear");

    let import_there = |passphrase: &str| {
        let arguments =
            ["credential", "import", "all.strongroom", "--from", "strongroom", "--passphrase-file", "-", "--json"];
        there.run_with(&arguments, passphrase)
    };
    import_there("another passphrase").ended_with(1).complained("this passphrase does not open the export");
    std::fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
    import_there(PASSPHRASE).ended_with(1).complained("the export is damaged");
    assert_eq!(audited(&there, "credential.import"), 0, "of a damaged export nothing comes");
    std::fs::write(&file, &bytes).unwrap();
    assert_eq!(import_there(PASSPHRASE).succeeded().json()["imported"], 6);
    assert_eq!(import_there(PASSPHRASE).succeeded().json()["already_here"], 6);
    assert_eq!(secrets(&there, ALICE).await, secrets(&here, ALICE).await);
    let list = |desk: &Desk| {
        let mut listed = desk.run(&["credential", "list", "--json"]).succeeded().json();
        listed.as_array_mut().unwrap().iter_mut().for_each(|one| one["last_used_at"] = Value::Null);
        listed
    };
    assert_eq!(list(&there), list(&here), "ids and times too");
}

#[test]
fn export_leaves_out_what_is_not_exportable() {
    let desk = Desk::initialised();
    let add = |more: &[&str], secret: &str| {
        let arguments = [&["credential", "add", "openai", "--user", "alice", "--from-file", "-", "--json"], more];
        let said = desk.run_with(&arguments.concat(), secret).succeeded().json();
        said["id"].as_str().unwrap().to_owned()
    };
    let export = |more: &[&str]| {
        desk.run_with(&[&["credential", "export", "--passphrase-file", "-"], more].concat(), PASSPHRASE)
    };
    let kept = add(&["--no-export"], "canary-kept");
    export(&["none"]).ended_with(1).complained("there is no exportable credential");
    assert!(!desk.path("none").exists());
    let free = add(&[], "canary-free");
    let said = export(&["some", "--json"]).succeeded().json();
    assert_eq!((said["credentials"].as_array().unwrap().len(), &said["left_out"]), (1, &json!(1)));
    assert_eq!(said["credentials"][0]["id"], free);
    assert_eq!(audited(&desk, "credential.export"), 1);
    let said = export(&["again"]).succeeded();
    assert!(said.stdout.contains("Left out 1 credentials that are not exportable."), "{}", said.stdout);

    let token = |more: &[&str]| desk.run(&[&["credential", "token"], more].concat());
    assert_eq!(token(&[&free]).succeeded().stdout, "canary-free\n");
    assert_eq!(token(&[&free, "--json"]).succeeded().json()["api_key"], "canary-free");
    assert_eq!(audited(&desk, "credential.read"), 2);
    let refused = token(&[&kept, "--json"]).ended_with(1).complained("is never given out");
    assert!(!refused.stdout.contains("canary") && !refused.stderr.contains("canary"));
    assert_eq!(audited(&desk, "credential.read"), 2);
    token(&["3f2b8c1e-0000-4000-8000-000000000000"]).ended_with(1).complained("there is no credential");
}

#[test]
fn credential_token_prints_several_values_as_json() {
    let desk = Desk::initialised();
    let add = ["credential", "add", "servicenow", "--user", "alice", "--kind", "user_password", "--from-file", "-"];
    desk.run_with(&[&add[..], &["--input", "instance=bad/"]].concat(), "u\np").ended_with(1).complained("dev12345");
    let said = desk.run_with(&[&add[..], &["--input", "instance=dev1", "--json"]].concat(), "u\np").succeeded();
    let id = said.json()["id"].as_str().unwrap().to_owned();
    let expected = json!({"username": "u", "password": "p", "in": "basic", "name": null, "prefix": null,
        "base_url": "https://dev1.service-now.com/api"});
    assert_eq!(desk.run(&["credential", "token", &id]).succeeded().json(), expected);
    // The values of the URL move with the secret.
    let there = Desk::initialised();
    let file = there.path("all").to_str().unwrap().to_owned();
    desk.run_with(&["credential", "export", &file, "--passphrase-file", "-"], PASSPHRASE).succeeded();
    let import = ["credential", "import", "all", "--from", "strongroom", "--passphrase-file", "-"];
    there.run_with(&import, PASSPHRASE).succeeded();
    assert_eq!(there.run(&["credential", "token", &id]).succeeded().json(), expected);
}

#[test]
fn export_file_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::initialised();
    import(&desk, "n8n.json", &["--from", "n8n", "--user", "alice"]).ended_with(1);
    desk.run_with(&["credential", "export", "out", "--passphrase-file", "-"], PASSPHRASE).succeeded();
    assert_eq!(std::fs::metadata(desk.path("out")).unwrap().permissions().mode() & 0o777, 0o600);
    let left = std::fs::read_dir(desk.path(".")).unwrap().filter_map(Result::ok);
    assert!(
        !left.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with(".strongroom")),
        "no remains"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn moved_account_is_refreshed_by_the_other_vault() {
    let sandbox = sandbox().await;
    let (here, there) =
        (Installation::new(&sandbox_settings(&sandbox)).await, Installation::new(&sandbox_settings(&sandbox)).await);
    let key = here.key("alice");
    let server = here.serve().await;
    let id = server.connect_sandbox(&key).await;
    std::fs::write(here.path("pass"), PASSPHRASE).unwrap();
    let file = here.path("moved");
    let file = file.to_str().unwrap();
    here.run(&["credential", "export", file, "--passphrase-file", "pass"]).must_succeed();
    assert!(server.stop().success());

    std::fs::write(there.path("pass"), PASSPHRASE).unwrap();
    let key = there.key("alice");
    let server = there.serve().await;
    let said =
        there.run(&["credential", "import", file, "--from", "strongroom", "--passphrase-file", "pass", "--json"]);
    let report = said.must_succeed().json();
    assert_eq!((&report["items"][0]["credential"], &report["items"][0]["note"]), (&json!(id), &Value::Null));
    let path = format!("/v1/integrations/sandbox/credentials/{id}");
    let token = async || server.ask(Method::GET, &format!("{path}/token")).key(&key).send().await.is(200).json();
    let before = token().await["access_token"].clone();
    server.ask(Method::POST, &format!("{path}/refresh")).key(&key).send().await.is(200);
    assert_ne!(token().await["access_token"], before);
    assert!(server.stop().success());
}
