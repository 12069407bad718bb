//! The command line as people and scripts use it: what it makes, what it prints, what it exits with.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::command::Desk;
use serde_json::{Value, json};

/// The mode of a file.
fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn no_command_prints_help() {
    let said = Desk::new().run(&[]).succeeded();
    for word in [
        "dev",
        "init",
        "serve",
        "user",
        "key",
        "provider",
        "credential",
        "connect",
        "vault",
        "audit",
        "config",
        "doctor",
        "completions",
        "man",
    ] {
        assert!(said.stdout.contains(&format!("\n  {word} ")), "{word} is not in the help");
    }
    Desk::new().run(&["frobnicate"]).ended_with(2);
    let said = Desk::new().run(&["user", "add", "not a user"]).ended_with(2);
    said.complained("a user id has 1 to 255 visible ASCII characters");
}

#[test]
fn user_ids_may_begin_with_a_hyphen() {
    let desk = Desk::new();
    desk.run(&["init"]).succeeded();
    for user in ["-x", "--y/+=~", "-"] {
        desk.run(&["user", "add", user]).succeeded();
        desk.run(&["key", "create", "--user", user, "--permission", "READ_INTEGRATIONS"]).succeeded();
        desk.run_with(&["credential", "add", "openai", "--user", user, "--from-file", "-"], "sk-1").succeeded();
        let listed = desk.run(&["credential", "list", "--user", user]).succeeded();
        assert!(listed.stdout.contains(user), "{}", listed.stdout);
        let rows = desk.run(&["audit", "list", "--user", user, "--json"]).succeeded().stdout;
        let users: Vec<Value> =
            rows.lines().map(|row| serde_json::from_str::<Value>(row).unwrap()["user"].clone()).collect();
        assert!(!users.is_empty() && users.iter().all(|known| known == user), "{rows}");
        desk.run(&["user", "remove", user]).succeeded();
    }
    let users = ["--users=-x*", "--users=a/+=*", "--permission", "READ_INTEGRATIONS"];
    desk.run(&[&["key", "create", "--service"], &users[..]].concat()).succeeded();
    desk.run(&["user", "add", "--help"]).succeeded();
}

#[test]
fn init_creates_three_private_files_and_overwrites_none() {
    let desk = Desk::new();
    let said = desk.run(&["init"]).succeeded();
    assert!(said.stdout.contains("strongroom serve"), "it says what to do next: {}", said.stdout);
    assert_eq!(mode(&desk.path("strongroom.key")), 0o400);
    assert_eq!(mode(&desk.path("strongroom.db")), 0o600);
    assert_eq!(mode(&desk.path("strongroom.toml")), 0o600);

    let files = ["strongroom.toml", "strongroom.key", "strongroom.db"];
    let before = files.map(|name| std::fs::read(desk.path(name)).unwrap());
    desk.run(&["init"]).ended_with(1).complained("already exists");
    assert_eq!(before, files.map(|name| std::fs::read(desk.path(name)).unwrap()));
    for kept in files {
        let desk = Desk::new();
        desk.write(kept, "mine");
        desk.run(&["init"]).ended_with(1).complained(kept);
        assert_eq!(desk.read(kept), "mine");
        let made = files.iter().filter(|name| desk.path(name).exists()).count();
        assert_eq!(made, 1, "nothing else was made");
    }
}

#[test]
fn passphrase_from_stdin_opens_the_vault() {
    let desk = Desk::new();
    desk.run_with(&["init", "--passphrase", "stdin"], "correct horse\n").succeeded();
    assert!(!desk.path("strongroom.key").exists());
    desk.run_with(&["user", "add", "alice"], "correct horse\n").succeeded();
    desk.run_with(&["user", "list"], "wrong horse\n").ended_with(3).complained("the passphrase is wrong");
    desk.run_with(&["init", "--passphrase", "stdin", "--config", "b.toml", "--vault", "b.db"], "\n").ended_with(1);
    assert!(!desk.path("b.toml").exists() && !desk.path("b.db").exists());
}

#[test]
fn exit_code_tells_vault_and_key_faults_apart() {
    let desk = Desk::initialised();
    let other = Desk::initialised();
    desk.run(&["user", "list", "--vault", "none.db"]).ended_with(1).complained("strongroom init");

    std::fs::remove_file(desk.path("strongroom.key")).unwrap();
    desk.run(&["user", "list"]).ended_with(2).complained("strongroom.key");
    desk.write("strongroom.key", &other.read("strongroom.key"));
    desk.run(&["user", "list"]).ended_with(3).complained("does not open");
    desk.write("strongroom.key", "srm_nonsense");
    desk.run(&["user", "list"]).ended_with(3);

    // Without its write-ahead log, from which SQLite would restore the file.
    let _ = std::fs::remove_file(other.path("strongroom.db-wal"));
    other.write("strongroom.db", "this is no database at all, but long enough to look at");
    other.run(&["user", "list"]).ended_with(4);
}

#[test]
fn users_are_added_and_removed() {
    let desk = Desk::initialised();
    desk.run(&["user", "add", "alice"]).succeeded();
    desk.run(&["user", "add", "alice"]).succeeded();
    desk.run_with(&["credential", "add", "openai", "--user", "bob", "--from-file", "-"], "sk-1\n").succeeded();
    let users = desk.run(&["user", "list", "--json"]).succeeded().json();
    let ids: Vec<&str> = users.as_array().unwrap().iter().map(|user| user["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["alice", "bob"]);
    assert_eq!(users[1]["credentials"], 1);

    let said = desk.run(&["user", "remove", "bob"]).succeeded();
    assert!(said.stdout.contains("removed user bob with 1 credential\n"), "{}", said.stdout);
    desk.run(&["user", "remove", "bob"]).ended_with(1).complained("there is no user bob");
    assert_eq!(desk.run(&["user", "list", "--json"]).json().as_array().unwrap().len(), 1);
    assert_eq!(desk.run(&["credential", "list", "--json"]).json(), json!([]));
}

#[test]
fn key_is_shown_once_and_can_be_revoked() {
    let desk = Desk::initialised();
    let created = desk
        .run(&[
            "key",
            "create",
            "--user",
            "alice",
            "--permission",
            "READ_INTEGRATIONS",
            "--permission",
            "ADMIN",
            "--expires",
            "90d",
            "--json",
        ])
        .succeeded()
        .json();
    let mut fields: Vec<&String> = created.as_object().unwrap().keys().collect();
    fields.sort_unstable();
    assert_eq!(fields, ["api_key", "expires_at", "id", "permissions", "user"]);
    assert_eq!((&created["user"], &created["permissions"]), (&json!("alice"), &json!(["READ_INTEGRATIONS", "ADMIN"])));
    assert!(created["api_key"].as_str().unwrap().starts_with("srk_") && created["expires_at"].is_i64());

    let plain =
        desk.run(&["key", "create", "--service", "--users", "team-*", "--permission", "READ_INTEGRATIONS"]).succeeded();
    assert!(
        plain.stdout.starts_with("srk_") && plain.stdout.lines().count() == 1,
        "a script can take it: {}",
        plain.stdout
    );

    let listed = desk.run(&["key", "list", "--json"]).succeeded();
    assert!(!listed.stdout.contains("srk_"));
    assert_eq!(listed.json()[1]["users"], json!(["team-*"]));
    let id = created["id"].as_str().unwrap();
    desk.run(&["key", "revoke", id]).succeeded();
    desk.run(&["key", "revoke", id]).ended_with(1).complained("no active API key");
    assert_eq!(desk.run(&["key", "list", "--json"]).json()[0]["status"], "revoked");
}

#[test]
fn invalid_key_is_a_usage_error() {
    let desk = Desk::initialised();
    for wrong in [
        &["key", "create", "--user", "alice"][..],
        &["key", "create", "--permission", "ADMIN"],
        &["key", "create", "--user", "alice", "--service", "--permission", "ADMIN"],
        &["key", "create", "--user", "alice", "--users", "a*", "--permission", "ADMIN"],
        &["key", "create", "--user", "alice", "--permission", "EVERYTHING"],
        &["key", "create", "--user", "alice", "--permission", "ADMIN", "--expires", "soon"],
        &["key", "revoke", "not-an-id"],
    ] {
        desk.run(wrong).ended_with(2);
    }
    assert_eq!(desk.run(&["key", "list", "--json"]).json(), json!([]));
}

#[test]
fn secret_is_read_from_stdin_or_file_and_never_printed() {
    let desk = Desk::initialised();
    let key = desk
        .run_with(&["credential", "add", "openai", "--user", "alice", "--from-file", "-", "--json"], "hunter2-key\n");
    let key = key.succeeded().json();
    assert_eq!(
        (&key["type"], &key["provider"], &key["title"]),
        (&json!("api_key"), &json!("openai"), &json!("openai"))
    );
    desk.write("login", "hunter2-name\nhunter2-password\n");
    let smtp = [
        "credential",
        "add",
        "smtp",
        "--kind",
        "user_password",
        "--user",
        "alice",
        "--title",
        "Mail",
        "--from-file",
        "login",
    ];
    desk.run(&smtp).succeeded();
    let host = [
        "credential",
        "add",
        "http",
        "--kind",
        "host_scoped",
        "--host",
        "*.example.com",
        "--user",
        "alice",
        "--from-file",
        "-",
    ];
    desk.run_with(&host, "Authorization: Bearer hunter2\nX-Key: hunter2\n").succeeded();

    let listed = desk.run(&["credential", "list", "--json"]).succeeded();
    assert!(!listed.stdout.contains("hunter2"), "{}", listed.stdout);
    let kinds: Vec<Value> = listed.json().as_array().unwrap().iter().map(|one| one["type"].clone()).collect();
    assert_eq!(kinds, [json!("api_key"), json!("user_password"), json!("host_scoped")]);
    assert_eq!(listed.json()[2]["host"], "*.example.com");
    assert_eq!(
        desk.run(&["credential", "list", "--user", "alice", "--provider", "smtp", "--json"]).json()[0]["title"],
        "Mail"
    );

    let id = key["id"].as_str().unwrap();
    let removed = desk.run(&["credential", "remove", id, "--json"]).succeeded().json();
    assert_eq!(removed, json!({"deleted": true, "credentials_id": id, "revoked": null}));
    desk.run(&["credential", "remove", id]).ended_with(1).complained("there is no credential");
}

#[test]
fn invalid_credential_is_rejected_and_not_stored() {
    let desk = Desk::initialised();
    let add = |arguments: &[&str], stdin: &str| {
        let common = ["credential", "add"].iter().chain(arguments).chain(&["--user", "alice", "--from-file", "-"]);
        desk.run_with(&common.copied().collect::<Vec<_>>(), stdin)
    };
    add(&["opena"], "x").ended_with(1).complained("did you mean 'openai'?");
    add(&["openai"], "\n").ended_with(1).complained("the API key is empty");
    add(&["openai", "--kind", "user_password"], "a\nb\n").ended_with(1).complained("does not accept");
    add(&["github", "--kind", "oauth2"], "x").ended_with(2).complained("strongroom connect");
    add(&["smtp", "--kind", "user_password"], "just one line\n").ended_with(1).complained("two lines");
    add(&["http", "--kind", "host_scoped"], "A: b\n").ended_with(2).complained("--host");
    add(&["http", "--kind", "host_scoped", "--host", "a b"], "A: b\n").ended_with(2);
    for headers in ["no colon\n", "A: b\nA: c\n", "A:\n", "", "sp ace: x\n", "A: \u{1}\n"] {
        add(&["http", "--kind", "host_scoped", "--host", "a.example"], headers).ended_with(1);
    }
    desk.run(&["credential", "add", "openai", "--user", "alice"]).ended_with(2).complained("--from-file");
    assert_eq!(desk.run(&["credential", "list", "--json"]).json(), json!([]));
}

#[test]
fn texts_of_others_cannot_change_the_terminal() {
    let desk = Desk::initialised();
    let title = "pay\u{202e}lap\u{2066}\u{200b}\u{feff}\u{61c}\u{1b}[2J\u{9b}\nend";
    let add = ["credential", "add", "openai", "--user", "alice", "--title", title, "--from-file", "-"];
    desk.run_with(&add, "k\n").succeeded();
    desk.run(&["key", "create", "--user", "alice", "--permission", "ADMIN", "--name", title]).succeeded();
    for command in [["credential", "list"], ["key", "list"]] {
        let table = desk.run(&command).succeeded().stdout;
        assert!(table.contains("paylap\u{fffd}[2J\u{fffd}\u{fffd}end"), "{table:?}");
        assert_eq!(table.lines().count(), 2, "{table:?}");
    }
    let exact =
        |command: &str, member: &str| desk.run(&[command, "list", "--json"]).succeeded().json()[0][member].clone();
    assert_eq!((exact("credential", "title"), exact("key", "name")), (json!(title), json!(title)));
    let said = desk.run(&["provider", "show", "no\u{202e}thing\u{1b}[2J"]).ended_with(1);
    assert!(!said.stderr.contains(['\u{202e}', '\u{1b}']), "{:?}", said.stderr);
}

#[test]
fn mistyped_names_are_errors_that_name_the_nearest() {
    let desk = Desk::initialised();
    desk.run(&["user", "add", "alice"]).succeeded();
    let id = "0192d3f0-7c3a-7000-8000-00000000000f";
    for (command, near) in [
        (vec!["credential", "list", "--provider", "gihub"], "github"),
        (vec!["credential", "list", "--user", "alcie", "--json"], "alice"),
        (vec!["credential", "remove", id, "--user", "alcie"], "alice"),
        (vec!["credential", "export", "file", "--user", "alcie", "--passphrase-file", "-"], "alice"),
        (vec!["credential", "export", "file", "--provider", "gihub", "--passphrase-file", "-"], "github"),
        (vec!["user", "remove", "alcie"], "alice"),
        (vec!["audit", "list", "--user", "alcie"], "alice"),
        (vec!["audit", "list", "--provider", "gihub"], "github"),
        (vec!["audit", "list", "--action", "credental.read"], "credential.read"),
        (vec!["audit", "list", "--action", "credental.*"], "credential.*"),
        (vec!["audit", "list", "--actor", "sytem"], "system"),
        (vec!["key", "create", "--user", "alice", "--permission", "ADMIN", "--provider", "gihub"], "github"),
        (vec!["provider", "check", "gihub"], "github"),
        (vec!["provider", "list", "gihub"], "github"),
        (vec!["connect", "gihub", "--user", "alice"], "github"),
    ] {
        desk.run_with(&command, "a long passphrase\n").ended_with(1).complained(&format!("did you mean '{near}'?"));
    }
    for (command, near) in [
        (vec!["key", "create", "--user", "alice", "--permission", "READ_INTEGRATION"], "READ_INTEGRATIONS"),
        (vec!["credential", "list", "--status", "actve"], "active"),
        (vec!["audit", "list", "--result", "deny"], "denied"),
        (vec!["credental", "list"], "credential"),
    ] {
        desk.run(&command).ended_with(2).complained(&format!("did you mean '{near}'?"));
    }
    // A known name that nothing was found for is no mistake.
    for command in [
        vec!["credential", "list", "--provider", "github", "--user", "alice"],
        vec!["audit", "list", "--provider", "github"],
        vec!["audit", "list", "--action", "login.*"],
        vec!["audit", "list", "--actor", "system"],
    ] {
        desk.run(&command).succeeded();
    }
}

#[test]
fn providers_of_stored_credentials_that_are_not_configured_are_named() {
    let desk = Desk::initialised();
    let toml = desk.read("strongroom.toml");
    desk.write(
        "strongroom.toml",
        &format!("{toml}\n[providers.acme]\ndisplay_name = \"Acme\"\n[providers.acme.api_key]\n"),
    );
    for provider in ["acme", "acme", "openai"] {
        desk.run_with(&["credential", "add", provider, "--user", "alice", "--from-file", "-"], "k\n").succeeded();
    }
    desk.write("strongroom.toml", &toml);
    let reason = "acme: 2 credential(s), the catalogue has no such provider";
    for command in [["doctor"].as_slice(), &["vault", "status"]] {
        let said = desk.run(command).stdout;
        assert!(said.contains(reason) && !said.contains("openai: "), "{said}");
    }
    let status = desk.run(&["vault", "status", "--json"]).succeeded().json();
    assert_eq!(status["unconfigured"]["acme"]["credentials"], 2);
    desk.write("strongroom.toml", &format!("{}\n[providers.openai]\nenabled = false\n", desk.read("strongroom.toml")));
    let off = desk.run(&["vault", "status", "--json"]).succeeded().json()["unconfigured"]["openai"].clone();
    assert_eq!(off["reason"], "the configuration switches it off");
    assert_eq!(off["fix"], "remove `enabled = false` from [providers.openai]");
}

#[test]
fn doctor_names_dangerous_private_networks() {
    let desk = Desk::initialised();
    let toml = desk.read("strongroom.toml");
    let networks =
        ["0.0.0.0/0", "169.254.0.0/16", "128.0.0.0/1", "fd00:ec2::/32"].map(|network| format!("{network:?}"));
    desk.write(
        "strongroom.toml",
        &format!("{toml}\n[providers.mcp]\nallow_private = [{}, \"10.0.0.0/8\"]\n", networks.join(", ")),
    );
    let said = desk.run(&["doctor"]).stdout;
    for danger in [
        "0.0.0.0/0 is every address",
        "169.254.0.0/16 has the metadata service",
        "128.0.0.0/1 is larger",
        "fd00:ec2::/32 has the metadata",
    ] {
        assert!(said.contains(danger) && said.contains("providers.mcp.allow_private"), "{danger}: {said}");
    }
    assert!(!said.contains("10.0.0.0/8"), "{said}");
}

#[test]
fn catalogue_is_listed_and_shown_as_toml() {
    let desk = Desk::new();
    desk.write(
        "strongroom.toml",
        "[providers.github]\nclient_id = \"id\"\nclient_secret = { env = \"NOT_SET_HERE\" }\n[providers.acme]\n\
         display_name = \"Acme\"\n[providers.acme.api_key]\n",
    );
    let listed = desk.run(&["provider", "list", "--json"]).succeeded().json();
    let named = |name: &str| listed.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone();
    assert_eq!((&named("github")["configured"], &named("google")["configured"]), (&json!(true), &json!(false)));
    assert_eq!(named("github")["kinds"], json!(["oauth2", "api_key"]));
    assert_eq!(named("acme")["display_name"], "Acme");

    let shown = desk.run(&["provider", "show", "github", "--json"]).succeeded().json();
    assert_eq!(shown["name"], "github");
    for key in ["authorize_url", "token_url", "scope_separator", "pkce", "token_auth"] {
        assert!(!shown["oauth"][key].is_null(), "{key}: {shown}");
    }
    assert!(shown["api_key"].is_object());
    assert!(
        desk.run(&["provider", "show", "google"])
            .succeeded()
            .stdout
            .contains("configured: no; set client_id and client_secret")
    );
    desk.run(&["provider", "show", "githb"]).ended_with(1).complained("did you mean 'github'?");
}

#[test]
fn provider_search_matches_names_and_category() {
    let desk = Desk::new();
    let names = |words: &[&str]| -> Vec<String> {
        let listed = desk.run(&[&["provider", "list", "--json"], words].concat()).succeeded().json();
        listed.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    assert!(names(&[]).len() > 500);
    assert_eq!(names(&["GitHub", "developer"]).first().map(String::as_str), Some("github"));
    let mail = names(&["zoho", "mail"]);
    assert!(mail.contains(&"zoho_mail".to_owned()) && !mail.contains(&"zoho_crm".to_owned()), "{mail:?}");
    assert!(names(&["crm"]).contains(&"salesforce".to_owned()), "by category");
    assert!(names(&["no such thing at all"]).is_empty());
}

#[test]
fn provider_check_reports_missing_and_unreachable() {
    let desk = Desk::new();
    desk.write(
        "strongroom.toml",
        "[egress]\nallow = [\"127.0.0.0/8\"]\n[providers.acme]\ndisplay_name = \"Acme\"\n[providers.acme.oauth]\n\
         authorize_url = \"http://127.0.0.1:1/authorize\"\ntoken_url = \"http://127.0.0.1:1/token\"\n",
    );
    let said = desk.run(&["provider", "check"]).ended_with(1).complained("found 3 problems");
    assert!(said.stdout.contains("MISSING: set client_id and client_secret in [providers.acme]"), "{}", said.stdout);
    assert_eq!(said.stdout.matches("NOT reachable").count(), 2, "{}", said.stdout);
    assert!(said.stdout.contains("set oauth.callback_origins"), "{}", said.stdout);
    let found = desk.run(&["provider", "check", "--json"]).ended_with(1).json();
    assert_eq!((&found[0]["name"], &found[0]["problems"]), (&json!("acme"), &json!(3)));
    assert_eq!((&found[0]["client"]["ok"], &found[0]["redirect_uris"]), (&json!(false), &json!([])));
    assert_eq!(found[0]["endpoints"][1]["url"], "http://127.0.0.1:1/token");
    assert!(found[0]["endpoints"][1]["error"].is_string() && found[0]["endpoints"][1]["status"].is_null());
}

#[test]
fn provider_check_proposes_one_redirect_uri_per_origin() {
    let desk = Desk::new();
    let (origins, providers) = (
        "[oauth]\ncallback_origins = [\"https://app.example.com\", \"http://localhost\", \"com.example.app://back\"]\n",
        "[egress]\nallow = [\"127.0.0.0/8\"]\n[providers.acme]\ndisplay_name = \"Acme\"\n[providers.acme.api_key]\n\
         [providers.shop]\ndisplay_name = \"Shop\"\nclient_id = \"c\"\nclient_secret = \"s\"\n[providers.shop.oauth]\n\
         authorize_url = \"https://{tenant}.shop.example/authorize\"\ntoken_url = \"https://{tenant}.shop.example/token\"\n\
         inputs = { tenant = { pattern = \"[a-z]+\", example = \"acme\" } }\n",
    );
    desk.write("strongroom.toml", &format!("{origins}{providers}"));
    let found = desk.run(&["provider", "check", "shop", "acme", "--json"]).succeeded().json();
    let proposed = [
        "https://app.example.com/callback/shop",
        "http://localhost/callback/shop",
        "com.example.app://back/callback/shop",
    ];
    assert_eq!(found[0]["redirect_uris"], json!(proposed));
    assert_eq!(found[0]["loopback_redirect_uri"], "http://127.0.0.1/callback/shop");
    assert_eq!((&found[0]["inputs"], &found[0]["endpoints"]), (&json!(["tenant"]), &json!([])));
    assert_eq!((&found[1]["redirect_uris"], &found[1]["loopback_redirect_uri"]), (&json!([]), &json!(null)));
    let said = desk.run(&["provider", "check", "shop"]).succeeded().stdout;
    assert!(
        said.contains("register   https://app.example.com/callback/shop") && said.contains("one path per provider"),
        "{said}"
    );

    let own =
        "redirect_uris = [\"https://app.example.com/oauth/shop/back\", \"https://app.example.com/oauth/other\"]\n";
    desk.write("strongroom.toml", &format!("{origins}{own}{providers}"));
    let found = desk.run(&["provider", "check", "shop", "--json"]).succeeded().json();
    assert_eq!(found[0]["redirect_uris"], json!(["https://app.example.com/oauth/shop/back"]));
}

#[test]
fn closed_stdout_is_not_a_panic() {
    let desk = Desk::new();
    let mut child = desk.command(&["provider", "list"]).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8(output.stderr).unwrap()), (Some(0), String::new()));
}

#[test]
fn completions_and_man_pages_cover_every_command() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(desk.run(&["completions", shell]).succeeded().stdout.contains("doctor"));
    }
    assert!(desk.run(&["man"]).succeeded().stdout.contains(".TH strongroom 1"));
    std::fs::create_dir(desk.path("man")).unwrap();
    desk.run(&["man", "--dir", "man"]).succeeded();
    assert!(desk.path("man/strongroom-key-create.1").exists());
}

#[test]
fn doctor_gives_advice_for_each_finding() {
    let desk = Desk::initialised();
    let well = desk.run(&["doctor"]).succeeded();
    for found in
        ["oauth.callback_origins is empty", "there is no API key", "no server is running on this vault", "is writable"]
    {
        assert!(well.stdout.contains(found), "{found}: {}", well.stdout);
    }
    std::fs::set_permissions(desk.path("strongroom.key"), PermissionsExt::from_mode(0o644)).unwrap();
    std::fs::set_permissions(desk.path("strongroom.db"), PermissionsExt::from_mode(0o644)).unwrap();
    let open = desk.run(&["doctor"]).succeeded();
    assert!(open.stdout.contains("chmod 0400") && open.stdout.contains("chmod 0600"), "{}", open.stdout);

    let settings = std::fs::read_to_string(desk.path("strongroom.toml")).unwrap();
    let greedy = format!("{settings}\n[limits]\nwaiting_per_key = 1024\n");
    std::fs::write(desk.path("strongroom.toml"), greedy).unwrap();
    let warned = desk.run(&["doctor"]).succeeded();
    assert!(warned.stdout.contains("one API key can shut out all others"), "{}", warned.stdout);

    std::fs::remove_file(desk.path("strongroom.key")).unwrap();
    let ill = desk.run(&["doctor", "--json"]).ended_with(1).complained("found one fault");
    assert!(ill.json().as_array().unwrap().iter().any(|finding| finding["level"] == "fault"));
}

#[test]
fn server_refuses_what_every_user_can_change() {
    let desk = Desk::initialised();
    let chmod = |name: &str, mode| std::fs::set_permissions(desk.path(name), PermissionsExt::from_mode(mode)).unwrap();
    std::fs::create_dir(desk.path("keys")).unwrap();
    std::fs::rename(desk.path("strongroom.key"), desk.path("keys/real.key")).unwrap();
    std::os::unix::fs::symlink("keys/real.key", desk.path("strongroom.key")).unwrap();
    for (name, open, closed) in [
        ("", 0o777, 0o700),
        ("strongroom.db", 0o666, 0o600),
        ("strongroom.key", 0o602, 0o400),
        ("strongroom.toml", 0o646, 0o600),
        ("keys", 0o757, 0o700),
    ] {
        chmod(name, open);
        let path = desk.path(name).canonicalize().unwrap();
        let fix = format!("chmod o-w {}\n", path.display());
        let refused = desk.run(&["serve"]).ended_with(2);
        assert!(refused.stderr.contains(&fix), "{name}: {}", refused.stderr);
        let doctor = desk.run(&["doctor"]).ended_with(1);
        assert!(doctor.stdout.contains(&fix) && doctor.stdout.contains("FAULT"), "{name}: {}", doctor.stdout);
        chmod(name, closed);
    }
    chmod("", 0o1777);
    desk.run(&["serve"]).ended_with(2).complained("to a folder of its own");
    chmod("", 0o770);
    let advice = desk.run(&["doctor"]).succeeded();
    assert!(advice.stdout.contains("chmod g-w"), "{}", advice.stdout);
    chmod("", 0o700);
    assert!(!desk.run(&["doctor"]).succeeded().stdout.contains("chmod"));
}

#[test]
fn dev_refuses_to_keep_a_vault_in_an_open_folder() {
    let desk = Desk::new();
    std::fs::set_permissions(desk.path(""), PermissionsExt::from_mode(0o1777)).unwrap();
    desk.run(&["--vault", "v.db", "dev", "--listen", "127.0.0.1:0"]).ended_with(2).complained("to a folder of its own");
    assert!(!desk.path("v.db").exists() && !desk.path("v.db.key").exists());
}

// Issue 19, 2.9.
#[test]
fn hostile_arguments_and_names_do_not_reach_the_terminal() {
    let desk = Desk::initialised();
    let hostile = "a\u{202e}b\u{1b}[2J\u{9b}c\u{200b}";
    for arguments in [
        &["key", "create", "--user", hostile][..],
        &["key", "create", "--user", "alice", "--permission", hostile],
        &["connect", "github", "--timeout", hostile],
        &["key", "list", hostile],
        &["key", "list", &format!("--{hostile}")],
        &[hostile],
        &["provider", "show", hostile],
        &["audit", "list", "--action", hostile],
    ] {
        let said = desk.run(arguments);
        let shown = format!("{}{}", said.stdout, said.stderr);
        let is_hidden = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}' || c == '\u{200b}';
        assert!(!shown.is_empty() && !shown.contains(is_hidden), "{arguments:?}: {shown:?}");
    }
    desk.run(&["key", "create", "--user", "alice", "--permission", "ADMIN", "--name", hostile]).succeeded();
    let listed = desk.run(&["key", "list", "--json"]).succeeded();
    assert!(listed.stdout.contains("a\\u202eb\\u001b[2J\\u009bc\\u200b"), "{}", listed.stdout);
    assert_eq!(listed.json()[0]["name"], hostile, "its value is unchanged");
}

#[test]
fn damaged_key_file_names_the_slots() {
    let desk = Desk::initialised();
    std::fs::set_permissions(desk.path("strongroom.key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    desk.write("strongroom.key", "not a key");
    desk.run(&["user", "list"]).ended_with(3).complained("is opened by").complained("lost-key.md");
}

#[test]
fn rekey_checks_the_passphrase_before_it_names_slots() {
    let desk = Desk::initialised();
    let said = desk.run_with(&["vault", "rekey", "--passphrase", "stdin"], "short\n");
    assert!(said.stderr.contains("shorter than 12 characters"), "{}", said.stderr);
    assert!(!said.stderr.contains("will not open the vault"), "{}", said.stderr);
}

// The limits of the HTTP API, contract §2.
#[test]
fn command_line_keeps_the_limits_of_request_bodies() {
    let desk = Desk::initialised();
    let add = |kind: &str, more: &[&str], secret: &str| {
        let common = ["credential", "add", "--user", "alice", "--from-file", "-", "--kind", kind];
        desk.run_with(&[&common[..], more].concat(), secret)
    };
    let (title, long) = ("t".repeat(1024), "t".repeat(1025));
    add("api_key", &["openai", "--title", &title], "s").succeeded();
    add("api_key", &["openai", "--title", &long], "s").ended_with(1).complained("title: it has more than 1024 bytes");
    let largest = "s".repeat(64 << 10);
    add("api_key", &["openai"], &largest).succeeded();
    add("api_key", &["openai"], &format!("{largest}s")).ended_with(1).complained("it has more than 65536 bytes");
    let lines = |count: usize| (0..count).map(|n| format!("X-{n}: {n}")).collect::<Vec<_>>().join("\n");
    let host = ["http", "--host", "x.example"];
    add("host_scoped", &host, &lines(64)).succeeded();
    add("host_scoped", &host, &lines(65)).ended_with(1).complained("headers: it has more than 64 items");
    let wide = format!("X: {}\n", "v".repeat(32 << 10));
    add("host_scoped", &host, &wide).ended_with(1).complained("headers: it has more than 32768 bytes in all");
    let name = |name: &str| desk.run(&["key", "create", "--user", "a", "--permission", "ADMIN", "--name", name]);
    name(&title).succeeded();
    name(&long).ended_with(2).complained("it has more than 1024 bytes");
    let id = desk.run(&["key", "list", "--json"]).json()[0]["id"].as_str().unwrap().to_owned();
    desk.run(&["key", "update", &id, "--name", &long]).ended_with(2).complained("it has more than 1024 bytes");
    desk.run(&["key", "update", "--permission", "ADMIN,READ_INTEGRATIONS", &id]).succeeded();
}
