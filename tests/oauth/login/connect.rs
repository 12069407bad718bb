//! `strongroom connect` as a user at a terminal runs it. The test is the browser.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::http::{Ask, Reply};
use crate::support::process::{Installation, Running, sandbox, sandbox_settings};
use crate::support::provider::recording::Recording;
use http::Method;
use serde_json::json;
use strongroom::sandbox::{Conduct, Sandbox, SandboxEndpoint};

/// An installation with one user and the sandbox as a provider.
async fn installation(sandbox: &Sandbox) -> Installation {
    let installation = Installation::new(&sandbox_settings(sandbox)).await;
    installation.run(&["user", "add", "alice"]).must_succeed();
    installation
}

/// A login under way, and the URL to log in at.
fn connect(installation: &Installation, arguments: &[&str]) -> (Running, String) {
    let arguments = [&["connect", "sandbox", "--no-browser"], arguments].concat();
    let mut running = installation.start(&arguments, &[]);
    let login = running.says("/authorize?");
    running.says("Waiting for the login");
    (running, login)
}

async fn get(url: &str) -> Reply {
    Ask::new(Method::GET, url.to_owned()).send().await
}

fn location(reply: &Reply) -> String {
    reply.header("Location").expect("a redirect").to_owned()
}

/// The URL to which the sandbox redirects the browser after this decision.
async fn decided(login: &str, decision: &str) -> String {
    location(&get(&format!("{login}&sandbox_decision={decision}")).await.is(303))
}

/// Follows the callback to the last page.
async fn last_page(callback: &str) -> Reply {
    let redirect = get(callback).await.is(303);
    let base = &callback[..callback.find("/callback").expect("the callback's path")];
    get(&format!("{base}{}", location(&redirect))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_stores_an_account_and_prints_its_id() {
    let sandbox = sandbox().await;
    let installation = installation(&sandbox).await;
    let server = installation.serve().await;
    let key = installation.key("alice");

    let (running, login) = connect(&installation, &["--scope", "read", "--scope", "write"]);
    assert!(login.contains("code_challenge_method=S256"), "{login}");
    let callback = decided(&login, "approve").await;
    assert!(callback.starts_with("http://127.0.0.1:") && callback.contains("/callback/sandbox?"), "{callback}");
    let page = last_page(&callback).await.is(200);
    assert!(page.text().contains("Connected"), "{}", page.text());
    let (code, stdout, stderr) = running.end();
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("Scopes: read, write."), "{stderr}");

    let listed = server.ask(Method::GET, "/v1/integrations/credentials").key(&key).send().await.is(200).json();
    assert_eq!(listed[0]["id"], stdout.trim());
    assert_eq!(listed[0]["scopes"], json!(["read", "write"]));

    let (running, login) = connect(&installation, &["--user", "alice", "--credential", stdout.trim(), "--json"]);
    last_page(&decided(&login, "approve").await).await.is(200);
    let (code, again, stderr) = running.end();
    assert_eq!(code, 0, "{stderr}");
    let completed: serde_json::Value = serde_json::from_str(&again).expect("JSON");
    assert_eq!(completed["credentials_id"], stdout.trim(), "a reconnected credential keeps its id");
    assert_eq!(
        (&completed["type"], &completed["scopes"]),
        (&json!("oauth2"), &json!(["profile", "read", "write"])),
        "what it had is kept"
    );
    assert_eq!(installation.rows("credential"), 1);
    assert_eq!(installation.rows("pending_authorization"), 0);
}

// docs/standards.md: 20.
#[tokio::test(flavor = "multi_thread")]
async fn callback_page_hides_the_code_and_loads_nothing() {
    let sandbox = sandbox().await;
    let installation = installation(&sandbox).await;
    let (_running, login) = connect(&installation, &[]);
    let callback = decided(&login, "approve").await;
    let redirect = get(&callback).await.is(303);
    assert!(!location(&redirect).contains("code="), "the code stays out of the next URL");
    let base = &callback[..callback.find("/callback").expect("the callback's path")];
    let page = get(&format!("{base}{}", location(&redirect))).await.is(200);
    for answer in [&redirect, &page] {
        assert_eq!(answer.header("Referrer-Policy"), Some("no-referrer"));
        assert_eq!(answer.header("Cache-Control"), Some("no-store"));
        let policy = answer.header("Content-Security-Policy").expect("a policy");
        // bar 23
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    }
    assert!(!page.text().contains("http"), "nothing from elsewhere: {}", page.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn unrelated_requests_change_nothing() {
    let sandbox = sandbox().await;
    let installation = installation(&sandbox).await;
    let (mut running, login) = connect(&installation, &[]);
    let callback = decided(&login, "approve").await;
    let base = callback[..callback.find("/callback").expect("the callback's path")].to_owned();

    let strange = format!("{base}/callback/sandbox?code=stolen&state={}", "A".repeat(43));
    get(&strange).await.is(400);
    running.says("Ignored a callback:");
    get(&format!("{base}/callback/sandbox?error=access_denied")).await.is(400);
    get(&format!("{callback}&code=another")).await.is(400);
    get(&callback.replace("/callback/sandbox", "/callback/github")).await.is(404);
    Ask::new(Method::GET, callback.clone()).header("Host", "evil.example").send().await.is(421);
    Ask::new(Method::POST, callback.clone()).send().await.is(405);
    assert_eq!(sandbox.requests(SandboxEndpoint::Token), 0);

    // The second callback comes while the first one's code is being exchanged.
    sandbox.conduct(SandboxEndpoint::Token, Conduct::Held);
    let first = get(&callback).await.is(303);
    let second = get(&callback).await.is(409);
    assert!(second.text().contains("already completed"), "{}", second.text());
    sandbox.conduct(SandboxEndpoint::Token, Conduct::Normal);
    get(&format!("{base}{}", location(&first))).await.is(200);
    let (code, _, stderr) = running.end();
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(sandbox.requests(SandboxEndpoint::Token), 1);
}

// docs/standards.md: 4.
#[tokio::test(flavor = "multi_thread")]
async fn callback_error_ends_the_login_and_is_escaped() {
    let sandbox = sandbox().await;
    let installation = installation(&sandbox).await;
    let (running, login) = connect(&installation, &[]);
    let callback = decided(&login, "deny").await;
    let said = "error_description=%3Cscript%3Ealert(1)%3C/script%3E%1B%5B31m";
    let parts: Vec<&str> = callback.split('&').filter(|part| !part.starts_with("error_description=")).collect();
    let page = last_page(&format!("{}&{said}", parts.join("&"))).await.is(200).text();
    assert!(page.contains("Not connected") && page.contains("access_denied"), "{page}");
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
    let (code, stdout, stderr) = running.end();
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("error: sandbox denied the login: access_denied"), "{stderr}");
    assert!(!stderr.contains('\u{1b}'), "{stderr}");
    assert_eq!((installation.rows("credential"), installation.rows("pending_authorization")), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn denial_without_state_ends_with_the_providers_words() {
    let sandbox = sandbox().await;
    let installation = installation(&sandbox).await;
    let (mut running, login) = connect(&installation, &[]);
    let redirect_uri = redirect_uri(&login);
    let denial = format!("{redirect_uri}?error=access_denied&error_description=The+boss+said+no%1B");
    // A page loads it as an image: the browser says that it shows no page.
    Ask::new(Method::GET, denial.clone()).header("Sec-Fetch-Dest", "image").send().await.is(400);
    running.says("Ignored a callback");
    // Another program of this machine sends no such header.
    get(&denial).await.is(400);
    running.says("Ignored a callback");
    navigate(&denial).await.is(400);
    running.says("denied the login");
    let (code, stdout, stderr) = running.end();
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("error: sandbox denied the login: access_denied: The boss said no"), "{stderr}");
    assert!(!stderr.contains('\u{1b}'), "{stderr}");
    assert_eq!((installation.rows("credential"), installation.rows("pending_authorization")), (0, 0));
    let failed = installation.run(&["audit", "list", "--action", "login.fail"]).must_succeed().stdout();
    assert_eq!(failed.matches("login.fail").count(), 1, "{failed}");

    let (running, login) = connect(&installation, &[]);
    navigate(&denial.replace(&redirect_uri, &self::redirect_uri(&login))).await.is(400);
    last_page(&decided(&login, "approve").await).await.is(200);
    let (code, _, stderr) = running.end();
    assert_eq!(code, 0, "a denial that any page can send does not stop the login's own callback: {stderr}");
}

/// Opens a URL as a browser does when it shows a page.
async fn navigate(url: &str) -> Reply {
    Ask::new(Method::GET, url.to_owned()).header("Sec-Fetch-Dest", "document").send().await
}

fn redirect_uri(login: &str) -> String {
    let login = url::Url::parse(login).expect("a URL");
    login.query_pairs().find(|(name, _)| name == "redirect_uri").expect("it has one").1.into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn pasted_address_completes_the_login() {
    let sandbox = sandbox().await;
    let installation = installation(&sandbox).await;
    let paste = ["connect", "sandbox", "--paste"];
    let mut running = installation.start(&paste, &[]);
    let login = running.says("/authorize?");
    running.says("Paste the address");
    let callback = decided(&login, "approve").await;
    // The login of another command, with the same provider.
    let mut other = installation.start(&paste, &[]);
    let others_login = other.says("/authorize?");
    let others = decided(&others_login, "approve").await;
    let own_port = others.replace(&redirect_uri(&others_login), &redirect_uri(&login));
    for (line, why) in [
        ("what now?", "not an address"),
        (login.as_str(), "begins with http://127.0.0.1:"),
        (others.as_str(), "begins with http://127.0.0.1:"),
        (own_port.as_str(), "does not belong to the login"),
        (&callback.replace("/callback/sandbox", "/callback/github"), "begins with http://127.0.0.1:"),
    ] {
        running.types(line);
        running.says(why);
    }
    assert_eq!(sandbox.requests(SandboxEndpoint::Token), 0);
    running.types("");
    running.types(&callback);
    running.says("Connected");
    let (code, stdout, stderr) = running.end();
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(stdout.trim().len(), 36);
    assert_eq!(installation.rows("credential"), 1);

    other.types("nothing");
    let (code, _, stderr) = other.end();
    assert_eq!(code, 1);
    assert!(stderr.contains("standard input ended without the address of this login"), "{stderr}");
    assert_eq!(installation.rows("pending_authorization"), 0);

    let mut denied = installation.start(&paste, &[]);
    let login = denied.says("/authorize?");
    denied.types(&format!("{}?error=access_denied&error_description=no", redirect_uri(&login)));
    denied.says("sandbox denied the login: access_denied: no");
    assert_eq!(denied.end().0, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_code_ends_it_with_the_providers_words() {
    let sandbox = sandbox().await;
    let installation = installation(&sandbox).await;
    let (running, login) = connect(&installation, &[]);
    let callback = decided(&login, "approve").await;
    let wrong: Vec<String> = callback
        .split('&')
        .map(|part| if part.contains("code=") { part.replace("code=", "code=x") } else { part.to_owned() })
        .collect();
    let page = last_page(&wrong.join("&")).await.is(200).text();
    assert!(page.contains("invalid_grant"), "{page}");
    let (code, _, stderr) = running.end();
    assert_eq!(code, 1);
    assert!(stderr.contains("error: sandbox issued no tokens: ") && stderr.contains("invalid_grant"), "{stderr}");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_server_gets_no_code() {
    let sandbox = sandbox().await;
    let installation = installation(&sandbox).await;
    let (running, login) = connect(&installation, &[]);
    let callback = decided(&login, "approve").await;
    let parts =
        callback.split('&').map(|part| if part.starts_with("iss=") { "iss=https://evil.example" } else { part });
    last_page(&parts.collect::<Vec<_>>().join("&")).await.is(200);
    let (code, _, stderr) = running.end();
    assert_eq!(code, 1);
    assert!(stderr.contains("from another authorization server"), "{stderr}");
    assert_eq!(sandbox.requests(SandboxEndpoint::Token), 0, "bar 18");
}

#[tokio::test(flavor = "multi_thread")]
async fn abandoned_login_and_ctrl_c_leave_nothing() {
    let sandbox = sandbox().await;
    let installation = installation(&sandbox).await;
    let (running, _) = connect(&installation, &["--timeout", "1s"]);
    let (code, stdout, stderr) = running.end();
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("error: no callback within 1s"), "{stderr}");
    assert_eq!(installation.rows("pending_authorization"), 0);

    for signal in ["INT", "TERM"] {
        let (running, _) = connect(&installation, &[]);
        assert_eq!(installation.rows("pending_authorization"), 1);
        running.signal(signal);
        let (code, stdout, stderr) = running.end();
        assert_eq!((code, stdout.as_str()), (1, ""));
        assert!(stderr.contains("error: interrupted; no account was connected"), "{stderr}");
        assert_eq!(installation.rows("pending_authorization"), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn application_cannot_complete_the_commands_login() {
    let sandbox = sandbox().await;
    let installation = installation(&sandbox).await;
    let server = installation.serve().await;
    let key = installation.key("alice");
    let (_running, login) = connect(&installation, &[]);
    let callback = url::Url::parse(&decided(&login, "approve").await).expect("a URL");
    let of = |wanted: &str| callback.query_pairs().find(|(name, _)| name == wanted).expect("there").1.into_owned();
    let body = json!({"code": of("code"), "state_token": of("state")});
    let path = "/v1/integrations/sandbox/oauth/complete";
    let refused = server.ask(Method::POST, path).key(&key).json(&body).send().await.is(400);
    assert_eq!(refused.detail(), "State token was not created for external OAuth flow");
    assert_eq!(sandbox.requests(SandboxEndpoint::Token), 0);
    assert_eq!(installation.audited("login.fail"), 1, "its state is used up");
}

#[tokio::test(flavor = "multi_thread")]
async fn browser_link_works_once_and_hides_the_state() {
    let sandbox = sandbox().await;
    let installation = installation(&sandbox).await;
    let opener = installation.path("xdg-open");
    std::fs::write(&opener, "#!/bin/sh\necho \"$1\" >link.new\n/bin/mv link.new link\n").expect("a script");
    std::fs::set_permissions(&opener, std::fs::Permissions::from_mode(0o755)).expect("it can be run");
    let path = installation.folder.path().display().to_string();
    let more = [("PATH", path.as_str()), ("DISPLAY", ":0")];
    let mut running = installation.start(&["connect", "sandbox"], &more);
    let login = running.says("/authorize?");
    running.says("Opened the browser");
    let mut link = String::new();
    while link.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        link = std::fs::read_to_string(installation.path("link")).unwrap_or_default();
    }
    assert!(link.starts_with("http://127.0.0.1:") && !link.contains("state"), "{link}");
    assert_eq!(location(&get(link.trim()).await.is(303)), login);
    get(link.trim()).await.is(410);
    last_page(&decided(&login, "approve").await).await.is(200);
    assert_eq!(running.end().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn login_that_cannot_start_says_why_and_what_to_do() {
    let sandbox = sandbox().await;
    let installation = Installation::new(&sandbox_settings(&sandbox)).await;
    let refused = |arguments: &[&str], code: i32, words: &[&str]| {
        let arguments = [&["connect"], arguments].concat();
        let ended = installation.run(&arguments);
        assert_eq!(ended.0.status.code(), Some(code), "{arguments:?}: {}", ended.stderr());
        for word in words {
            assert!(ended.stderr().contains(word), "{arguments:?}: {}", ended.stderr());
        }
    };
    refused(&["sandbox"], 2, &["there is no user yet", "--user alice"]);
    installation.run(&["user", "add", "alice"]).must_succeed();
    installation.run(&["user", "add", "bob"]).must_succeed();
    refused(&["sandbox"], 2, &["there are 2 users", "--user"]);
    refused(&["sandbx", "--user", "alice"], 1, &["did you mean 'sandbox'?"]);
    refused(&["smtp", "--user", "alice"], 1, &["smtp does not support OAuth", "credential add"]);
    refused(&["github", "--user", "alice"], 2, &["no OAuth client is configured", "provider check github"]);
    refused(&["sandbox", "--user", "alice", "--input", "x"], 2, &["NAME=VALUE"]);
    refused(&["sandbox", "--user", "alice", "--timeout", "soon"], 2, &["not a duration"]);
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    refused(&["sandbox", "--user", "alice", "--credential", unknown], 1, &["Credentials not found"]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    refused(&["sandbox", "--user", "alice", "--port", &port], 1, &["cannot listen on port", "--port"]);
    assert_eq!(installation.rows("pending_authorization"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn provider_check_reports_discovery_and_its_failures() {
    let sandbox = sandbox().await;
    let base = sandbox.base_url();
    let found = format!(
        "{}[providers.found]\ndisplay_name = \"Found\"\nclient_id = \"c\"\nclient_secret = \"s\"\n[providers.found.oauth]\n\
         issuer = \"{base}\"\n[providers.lost]\ndisplay_name = \"Lost\"\nclient_id = \"c\"\nclient_secret = \"s\"\n\
         [providers.lost.oauth]\nissuer = \"{base}/elsewhere\"\n",
        sandbox_settings(&sandbox)
    );
    let installation = Installation::new(&found).await;
    let checked = installation.run(&["provider", "check", "found", "--json"]);
    let checked = checked.must_succeed().json();
    assert_eq!(checked[0]["discovery"], json!({"ok": true, "message": base}));
    let endpoints = checked[0]["endpoints"].as_array().expect("a list");
    let token = endpoints.iter().find(|endpoint| endpoint["name"] == "token").expect("the token endpoint");
    assert_eq!(token["url"], format!("{base}/token"));
    assert!(endpoints.iter().all(|endpoint| endpoint["status"].is_number()), "{endpoints:?}");
    let lost = installation.run(&["provider", "check", "lost", "--json"]);
    assert_eq!(lost.0.status.code(), Some(1));
    let lost: serde_json::Value = serde_json::from_slice(&lost.0.stdout).expect("JSON all the same");
    assert_eq!((&lost[0]["discovery"]["ok"], &lost[0]["problems"]), (&json!(false), &json!(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn provider_check_finds_a_wrong_token_url() {
    let acme = Recording::start().await;
    acme.answers_with("/gets", "405 Method Not Allowed", "text/plain\r\nAllow: GET, HEAD", "no");
    acme.answers_with("/posts", "400 Bad Request", "application/json", r#"{"error":"invalid_request"}"#);
    for (path, problems) in [("/nowhere", 1), ("/gets", 1), ("/posts", 0)] {
        let config = format!(
            "[oauth]\ncallback_origins = [\"http://localhost\"]\n[egress]\nallow = [\"127.0.0.0/8\"]\n[providers.acme]\n\
             display_name = \"Acme\"\nclient_id = \"c\"\nclient_secret = \"s\"\n[providers.acme.oauth]\n\
             authorize_url = \"{0}/authorize\"\ntoken_url = \"{0}{path}\"\n",
            acme.base
        );
        let installation = Installation::new(&config).await;
        let checked = installation.run(&["provider", "check", "acme", "--json"]);
        assert_eq!(checked.0.status.code(), Some(problems), "{path}");
        let report: serde_json::Value = serde_json::from_slice(&checked.0.stdout).expect("JSON");
        assert_eq!(report[0]["problems"], problems, "{path}: {report}");
    }
    assert!(acme.asked("/posts").iter().all(|asked| asked.method == "POST" && asked.body.is_empty()));
}
