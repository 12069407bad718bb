//! The pages for the user: plain HTML without scripts, every value escaped.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use url::Url;

use crate::html::escape;
use crate::random::Random;
use crate::sandbox::endpoint::SandboxEndpoint;
use crate::sandbox::message::reply::{Reply, page_reply};
use crate::sandbox::state::grants::RequestedAccess;
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

/// Returns the page on which the user approves or denies a request.
pub(in crate::sandbox) fn decision(
    request: &RequestedAccess,
    transaction: &Secret,
    user: &str,
    random: Random,
) -> Reply {
    let nonce = STANDARD.encode(random.bytes::<18>());
    let mut scopes = String::new();
    for scope in &request.scopes {
        let _ = write!(scopes, "<li><code>{}</code></li>", escape(scope));
    }
    let body = format!(
        r#"<h1>Sandbox: sign in and decide</h1>
<p>The application <strong>{client}</strong> asks for access to an account. You will be sent back to <code>{redirect_uri}</code>.</p>
<p>Requested scopes:</p>
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
<p><small>This is Strongroom's test authorization server. Its accounts are invented: you can type any user name.</small></p>"#,
        client = escape(&request.client_id),
        redirect_uri = escape(&request.redirect_uri),
        action = SandboxEndpoint::Decision.path(),
        transaction = escape(transaction.expose()),
        user = escape(user),
    );
    let policy = policy(&nonce, &form_targets(&request.redirect_uri));
    page_reply(StatusCode::OK, document("Sandbox: sign in", &nonce, &body), &policy)
}

/// Returns the page on which the user types the code of another device.
pub(in crate::sandbox) fn ask_for_code(random: Random) -> Reply {
    let body = format!(
        r#"<h1>Sandbox: connect a device</h1>
<form method="get" action="{action}">
<label>Code shown on the device
<input name="user_code" maxlength="16" autocomplete="off" autocapitalize="characters" spellcheck="false" autofocus></label>
<p class="decide"><button type="submit">Continue</button></p>
</form>"#,
        action = SandboxEndpoint::Device.path(),
    );
    own_page(&body, random)
}

/// Returns the page on which the user approves or denies a request of another device.
pub(in crate::sandbox) fn device_decision(client: &str, scopes: &[String], user_code: &str, random: Random) -> Reply {
    let list: Vec<String> = scopes.iter().map(|scope| format!("<li><code>{}</code></li>", escape(scope))).collect();
    let body = format!(
        r#"<h1>Sandbox: connect a device</h1>
<p>The application <strong>{client}</strong> on another device shows the code <strong>{user_code}</strong>. Requested scopes:</p>
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
        action = SandboxEndpoint::DeviceDecision.path(),
    );
    own_page(&body, random)
}

/// Returns the page after the decision for another device.
pub(in crate::sandbox) fn device_decided(random: Random) -> Reply {
    own_page("<h1>Done</h1>\n<p>You can return to your device.</p>", random)
}

/// Returns a page whose form is sent to the sandbox only.
fn own_page(body: &str, random: Random) -> Reply {
    let nonce = STANDARD.encode(random.bytes::<18>());
    page_reply(StatusCode::OK, document("Sandbox: connect a device", &nonce, body), &policy(&nonce, "'self'"))
}

/// Returns the page that explains an error.
pub(in crate::sandbox) fn error(status: StatusCode, why: &str) -> Reply {
    let body = format!("<h1>Invalid request</h1>\n<p>{}</p>", escape(why));
    page_reply(status, document("Sandbox: error", "", &body), &policy("", "'none'"))
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

/// Returns the targets for `form-action`. Chromium checks it against every redirect after the
/// submission, until the application shows a page, so the sandbox alone is not enough.
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
