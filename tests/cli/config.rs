//! The configuration as its reader meets it: faults with their places, masked secrets, the order of the sources.

use crate::support::command::Desk;

const TEN_FAULTS: &str = r#"[server]
listn = "127.0.0.1:1"
base_path = "api/"
max_connections = "many"

[vault]
revoke_retry = "soon"

[oauth]
callback_origins = ["http://app.example.com", "https://app.example.com/cb"]
require_iss = 1

[egress]
allow = ["10.0.0.0/33"]

[providers.github]
client_id = ""

[providers.acme]
display_name = "Acme"
[providers.acme.oauth]
authorize_url = "https://acme.example/authorize"
token_url = "ftp://acme.example/token"
"#;

#[test]
fn ten_faults_are_reported_at_once_with_file_line_key() {
    let desk = Desk::new();
    desk.write("strongroom.toml", TEN_FAULTS);
    let said = desk.run(&["config", "check"]).ended_with(2).complained("the configuration has 10 faults");
    for fault in [
        "strongroom.toml:2: server.listn: unknown key; the nearest known one is server.listen",
        "strongroom.toml:3: server.base_path: ",
        "strongroom.toml:4: server.max_connections: ",
        "strongroom.toml:7: vault.revoke_retry: ",
        "strongroom.toml:10: oauth.callback_origins[0]: ",
        "strongroom.toml:10: oauth.callback_origins[1]: ",
        "strongroom.toml:11: oauth.require_iss: ",
        "strongroom.toml:14: egress.allow[0]: ",
        "strongroom.toml:17: providers.github.client_id: ",
        "strongroom.toml:23: providers.acme.oauth.token_url: ",
    ] {
        assert!(said.stderr.contains(fault), "{fault}\nis not in\n{}", said.stderr);
    }
    assert_eq!(said.stdout, "");
}

#[test]
fn faulty_configuration_stops_every_command_alike() {
    let desk = Desk::new();
    desk.write("strongroom.toml", "[sever]\nlisten = \"127.0.0.1:1\"\n");
    for command in [&["serve"][..], &["user", "list"], &["provider", "list"], &["config", "show"]] {
        desk.run(command)
            .ended_with(2)
            .complained("strongroom.toml:1: sever: unknown key; the nearest known one is server");
    }
}

#[test]
fn environment_fault_names_the_variable() {
    let mut desk = Desk::new();
    desk.set("STRONGROOM_SERVER__LISTN", "127.0.0.1:1");
    desk.run(&["config", "check"])
        .ended_with(2)
        .complained("environment variable STRONGROOM_SERVER__LISTN: server.listn: unknown key");
}

#[test]
fn config_show_prints_sources_and_no_secret() {
    let mut desk = Desk::new();
    desk.write(
        "strongroom.toml",
        "[vault]\nmaster_key = \"hunter2-inline\"\n[providers.github]\nclient_id = \"id\"\n\
         client_secret = { command = [\"echo\", \"hunter2-argument\"] }\n",
    );
    desk.set("STRONGROOM_SERVER__LISTEN", "127.0.0.1:4");
    desk.set("STRONGROOM_PROVIDERS__GITLAB__CLIENT_SECRET", "hunter2-variable");
    let said = desk.run(&["config", "show"]).succeeded();
    for line in [
        "server.listen = \"127.0.0.1:4\"  # environment variable STRONGROOM_SERVER__LISTEN",
        "vault.master_key = \"********\"  # strongroom.toml:2",
        "vault.path = \"strongroom.db\"  # default",
        "providers.github.client_id = \"id\"  # strongroom.toml:4",
        "providers.gitlab.client_secret = { env = \"STRONGROOM_PROVIDERS__GITLAB__CLIENT_SECRET\" }",
    ] {
        assert!(said.stdout.contains(line), "{line}\nis not in\n{}", said.stdout);
    }
    let json = desk.run(&["config", "show", "--json"]).succeeded();
    assert_eq!(json.json()[0]["key"], "server.listen");
    let check = desk.run(&["config", "check"]).succeeded().complained("warning: strongroom.toml:2: vault.master_key");
    for said in [said, json, check] {
        assert!(!format!("{}{}", said.stdout, said.stderr).contains("hunter2"), "{}{}", said.stdout, said.stderr);
    }
}

#[test]
fn command_line_overrides_environment_overrides_file() {
    let mut desk = Desk::initialised();
    let text = desk.read("strongroom.toml").replace("path = \"strongroom.db\"", "path = \"none.db\"");
    desk.write("strongroom.toml", &text);
    desk.run(&["user", "list"]).ended_with(1).complained("none.db").complained("strongroom init");
    desk.set("STRONGROOM_VAULT__PATH", "strongroom.db");
    desk.run(&["user", "list"]).succeeded();
    desk.run(&["user", "list", "--vault", "other.db"]).ended_with(1).complained("other.db");
}

#[test]
fn relative_paths_are_relative_to_the_file() {
    let desk = Desk::new();
    desk.run(&["init", "--config", "etc/strongroom.toml", "--vault", "var/vault.db"]).succeeded();
    assert!(desk.path("etc/strongroom.key").exists() && desk.path("var/vault.db").exists());
    desk.run(&["--config", "etc/strongroom.toml", "user", "list"]).succeeded();
    desk.run(&["user", "list", "--config", "missing.toml"])
        .ended_with(2)
        .complained("missing.toml:1: the configuration cannot be read");
}

#[test]
fn example_configuration_is_valid() {
    let desk = Desk::initialised();
    desk.write("strongroom.toml", include_str!("../../config.example.toml"));
    desk.run(&["config", "check"]).succeeded();
    desk.run(&["user", "list"]).succeeded();
}

#[test]
fn client_secrets_and_private_key_are_masked_and_checked() {
    let mut desk = Desk::new();
    desk.set("STRONGROOM_PROVIDERS__GITLAB__CLIENT_SECRETS", "hunter3");
    desk.write(
        "strongroom.toml",
        "[providers.github]\nclient_id = \"x\"\nclient_secrets = [\"hunter1\", { command = [\"echo\", \"hunter2\"] }]\n\
         client_key_id = \"shown\"\n[providers.gitlab]\nclient_id = \"y\"\n",
    );
    let shown = desk.run(&["config", "show"]).succeeded().stdout;
    assert!(shown.contains("client_secrets") && shown.contains("shown") && shown.contains("echo"), "{shown}");
    assert!(!shown.contains("hunter"), "{shown}");
    desk.run(&["config", "check"]).succeeded();

    desk.write("key.pem", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n");
    desk.write(
        "strongroom.toml",
        "[providers.github]\nclient_id = \"x\"\nclient_key = { file = \"key.pem\" }\n\
         client_secrets = [\"good\", 7, { fiel = \"x\" }]\n",
    );
    let said = desk.run(&["config", "check"]).ended_with(2);
    for fault in [
        "strongroom.toml:3: providers.github.client_key: ",
        "openssl pkcs8 -topk8 -nocrypt",
        "strongroom.toml:4: providers.github.client_secrets[1]: write ",
        "strongroom.toml:4: providers.github.client_secrets[2]: unknown source 'fiel'",
    ] {
        assert!(said.stderr.contains(fault), "{fault}\nis not in\n{}", said.stderr);
    }
}

#[test]
fn switched_off_provider_names_its_setting() {
    let desk = Desk::new();
    desk.write("strongroom.toml", "[catalog]\nonly = [\"github\", \"slack\"]\n[providers.slack]\nenabled = false\n");
    for (name, said) in [
        ("slack", "provider 'slack' is switched off by the configuration: providers.slack.enabled is false"),
        ("notion", "provider 'notion' is switched off by the configuration: catalog.only does not list it"),
        ("notoin", "there is no provider 'notoin'"),
    ] {
        for command in [&["provider", "show"][..], &["provider", "check"], &["provider", "list"]] {
            desk.run(&[command, &[name]].concat()).ended_with(1).complained(said);
        }
        let fix = ["remove `enabled = false` from [providers.slack]", "add notion to catalog.only", "provider list"];
        let shown = desk.run(&["provider", "show", name]).stderr;
        assert!(fix.iter().any(|fix| shown.contains(fix)), "{shown}");
    }
}
