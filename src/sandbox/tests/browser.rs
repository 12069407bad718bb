//! Tests of the page, as a browser without JavaScript uses it.

use super::{Bench, Reply, bench, encoded};

/// Returns the value of the hidden transaction field.
fn transaction(page: &Reply) -> String {
    assert_eq!(page.status, 200, "{}", page.body);
    let (_, rest) = page.body.split_once("name=\"transaction\" value=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

async fn submit(bench: &Bench, fields: &[(&str, &str)]) -> Reply {
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    bench.ask("POST", "/authorize/decision", &headers, &encoded(fields)).await
}

#[tokio::test]
async fn approval_on_the_page_logs_the_named_user_in() {
    let bench = bench().await;
    let page = bench.authorize(&[]).await;
    let transaction = transaction(&page);
    let approval = [("transaction", transaction.as_str()), ("user", " bob "), ("decision", "approve")];
    let code = submit(&bench, &approval).await.redirect()["code"].clone();
    let tokens = bench.exchange(&code, &[]).await.json();
    let bearer = format!("Bearer {}", tokens["access_token"].as_str().unwrap());
    let account = bench.ask("GET", "/userinfo", &[("Authorization", &bearer)], "").await.json();
    assert_eq!(account["preferred_username"], "bob");
    assert_eq!(submit(&bench, &approval).await.status, 400, "a transaction works once");
}

#[tokio::test]
async fn denial_on_the_page_gives_no_code() {
    let bench = bench().await;
    let transaction = transaction(&bench.authorize(&[]).await);
    let denied = submit(&bench, &[("transaction", &transaction), ("user", "bob"), ("decision", "deny")]).await;
    assert_eq!(denied.redirect()["error"], "access_denied");
    let after = submit(&bench, &[("transaction", &transaction), ("user", "bob"), ("decision", "approve")]).await;
    assert_eq!(after.status, 400);
}

#[tokio::test]
async fn an_expired_page_decides_nothing() {
    let bench = bench().await;
    let transaction = transaction(&bench.authorize(&[]).await);
    bench.clock.advance(std::time::Duration::from_secs(601));
    let late = submit(&bench, &[("transaction", &transaction), ("decision", "approve")]).await;
    assert_eq!(late.status, 400);
    assert_eq!(submit(&bench, &[("transaction", "made-up"), ("decision", "approve")]).await.status, 400);
}

#[tokio::test]
async fn request_values_are_escaped() {
    let attack = "<script>alert(1)</script>'><img/src=x>";
    let bench = bench().await;
    let redirect_uri = format!("http://localhost:3000/{attack}\"");
    let page = bench.authorize(&[("redirect_uri", &redirect_uri), ("scope", attack), ("state", attack)]).await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("&lt;script&gt;alert(1)&lt;/script&gt;&#39;&gt;&lt;img/src=x&gt;"));
    assert!(!page.body.contains("<script") && !page.body.contains("<img") && !page.body.contains("x>\""));
    let shown = bench.authorize(&[("client_id", "<b>"), ("sandbox_decision", "<b>")]).await;
    assert!(!shown.body.contains("<b>"));
}

#[tokio::test]
async fn the_page_has_no_scripts_and_cannot_be_framed() {
    let page = bench().await.authorize(&[]).await;
    let policy = &page.headers["content-security-policy"];
    for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "style-src 'nonce-"] {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("script-src") && !policy.contains("unsafe"));
    let nonce = policy.split_once("'nonce-").unwrap().1.split_once('\'').unwrap().0;
    assert!(page.body.contains(&format!("<style nonce=\"{nonce}\">")));
    assert_eq!(page.headers["x-frame-options"], "DENY");
    assert_eq!(page.headers["cache-control"], "no-store");
    assert_eq!(page.headers["referrer-policy"], "no-referrer");
}

#[tokio::test]
async fn an_app_scheme_is_a_form_target() {
    let page = bench().await.authorize(&[("redirect_uri", "com.example.app:/callback")]).await;
    assert!(page.headers["content-security-policy"].contains(" com.example.app:;"));
}

#[tokio::test]
async fn invalid_user_names_are_rejected() {
    let bench = bench().await;
    for name in ["a\u{7}b".to_owned(), "x".repeat(65)] {
        let reply = bench.authorize(&[("sandbox_decision", "approve"), ("sandbox_user", &name)]).await;
        assert_eq!(reply.status, 400, "{name:?}");
    }
    assert_eq!(bench.authorize(&[("sandbox_decision", "perhaps")]).await.status, 400);
}
