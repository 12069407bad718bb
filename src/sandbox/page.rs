//! The two pages that a person sees: the decision, and why there is none. Plain HTML, no script, everything escaped.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use url::Url;

use super::answer::{Answer, page_answer};
use super::endpoint::Endpoint;
use super::grants::Asked;
use crate::html::escape;
use crate::random::Random;
use crate::secret::Secret;

const STYLE: &str = "
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 26rem; margin: 12vh auto; padding: 0 1rem; }
h1 { font-size: 1.3rem; }
code, li { overflow-wrap: anywhere; }
input, button { font: inherit; padding: .4rem .8rem; }
label, input { display: block; width: 100%; box-sizing: border-box; }
p.decide { display: flex; gap: .6rem; }
p.decide button { flex: 1; }
small { opacity: .75; }
";

/// The page on which a person approves or denies what a client asks for.
pub(super) fn decision(asked: &Asked, transaction: &Secret, user: &str, random: Random) -> Answer {
    let nonce = STANDARD.encode(random.bytes::<18>());
    let mut scopes = String::new();
    for scope in &asked.scopes {
        let _ = write!(scopes, "<li><code>{}</code></li>", escape(scope));
    }
    let body = format!(
        r#"<h1>Sandbox: sign in and decide</h1>
<p>The application <strong>{client}</strong> asks for access to an account of your choice, and will answer at <code>{redirect_uri}</code>.</p>
<p>It asks for:</p>
<ul>{scopes}</ul>
<form method="post" action="{action}">
<input type="hidden" name="transaction" value="{transaction}">
<label>User name
<input name="user" value="{user}" maxlength="64" autocomplete="off" spellcheck="false"></label>
<p class="decide">
<button type="submit" name="decision" value="approve">Approve</button>
<button type="submit" name="decision" value="deny">Deny</button>
</p>
</form>
<p><small>This is Strongroom's own authorization server for trying things out. Its accounts are make-believe: any user name will do.</small></p>"#,
        client = escape(&asked.client_id),
        redirect_uri = escape(&asked.redirect_uri),
        action = Endpoint::Decision.path(),
        transaction = escape(transaction.expose()),
        user = escape(user),
    );
    let policy = policy(&nonce, &form_targets(&asked.redirect_uri));
    page_answer(StatusCode::OK, document("Sandbox: sign in", &nonce, &body), &policy)
}

/// The page on which a person types the code of another device.
pub(super) fn ask_for_code(random: Random) -> Answer {
    let body = format!(
        r#"<h1>Sandbox: connect a device</h1>
<form method="get" action="{action}">
<label>The code that the device shows
<input name="user_code" maxlength="16" autocomplete="off" autocapitalize="characters" spellcheck="false" autofocus></label>
<p class="decide"><button type="submit">Go on</button></p>
</form>"#,
        action = Endpoint::Device.path(),
    );
    own_page(&body, random)
}

/// The page on which a person approves or denies what another device asks for.
pub(super) fn device_decision(client: &str, scopes: &[String], user_code: &str, random: Random) -> Answer {
    let list: Vec<String> = scopes.iter().map(|scope| format!("<li><code>{}</code></li>", escape(scope))).collect();
    let body = format!(
        r#"<h1>Sandbox: connect a device</h1>
<p>The application <strong>{client}</strong> on another device shows the code <strong>{user_code}</strong>, and asks for:</p>
<ul>{list}</ul>
<form method="post" action="{action}">
<input type="hidden" name="user_code" value="{user_code}">
<label>User name
<input name="user" value="dev" maxlength="64" autocomplete="off" spellcheck="false"></label>
<p class="decide">
<button type="submit" name="decision" value="approve">Approve</button>
<button type="submit" name="decision" value="deny">Deny</button>
</p>
</form>"#,
        client = escape(client),
        user_code = escape(user_code),
        list = list.concat(),
        action = Endpoint::DeviceDecision.path(),
    );
    own_page(&body, random)
}

/// The page after the decision about another device.
pub(super) fn device_decided(random: Random) -> Answer {
    own_page("<h1>Done</h1>\n<p>Go back to your device.</p>", random)
}

/// A page whose form leads to the sandbox alone.
fn own_page(body: &str, random: Random) -> Answer {
    let nonce = STANDARD.encode(random.bytes::<18>());
    page_answer(StatusCode::OK, document("Sandbox: connect a device", &nonce, body), &policy(&nonce, "'self'"))
}

/// The page that says why there is nothing to decide.
pub(super) fn refusal(status: StatusCode, why: &str) -> Answer {
    let body = format!("<h1>This does not work</h1>\n<p>{}</p>", escape(why));
    page_answer(status, document("Sandbox: error", "", &body), &policy("", "'none'"))
}

fn document(title: &str, nonce: &str, body: &str) -> String {
    let style = if nonce.is_empty() { String::new() } else { format!("<style nonce=\"{nonce}\">{STYLE}</style>\n") };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n{style}</head>\n\
         <body>\n{body}\n</body>\n</html>\n"
    )
}

fn policy(nonce: &str, form_targets: &str) -> String {
    let style = if nonce.is_empty() { "'none'".to_owned() } else { format!("'nonce-{nonce}'") };
    format!(
        "default-src 'none'; style-src {style}; form-action {form_targets}; base-uri 'none'; frame-ancestors 'none'"
    )
}

/// Where the form may lead. Chromium holds `form-action` against every redirect that follows a submission, up to where
/// the application at last shows a page: hence not only the sandbox itself.
fn form_targets(redirect_uri: &str) -> String {
    let mut targets = "'self' https: http://localhost:* http://127.0.0.1:*".to_owned();
    if let Ok(url) = Url::parse(redirect_uri)
        && url.scheme() != "https"
        && !(url.scheme() == "http" && matches!(url.host_str(), Some("localhost" | "127.0.0.1")))
    {
        let _ = write!(targets, " {}:", url.scheme());
    }
    targets
}
