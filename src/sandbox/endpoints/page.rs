//! The pages for the user: plain HTML without scripts, every value escaped.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use url::Url;

use crate::html::escape;
use crate::random::Random;
use crate::sandbox::client::CLIENT_ID;
use crate::sandbox::endpoint::SandboxEndpoint;
use crate::sandbox::message::decision::DEFAULT_USER;
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
pub(in crate::sandbox) fn decision(request: &RequestedAccess, transaction: &Secret, random: Random) -> Reply {
    let intro = format!(
        "<h1>Sandbox: sign in and decide</h1>\n\
         <p>The application <strong>{CLIENT_ID}</strong> asks for access to an account. You will be sent back to \
         <code>{}</code>.</p>",
        escape(&request.redirect_uri),
    );
    let form = DecisionForm {
        action: SandboxEndpoint::Decision,
        hidden: ("transaction", transaction.expose()),
        scopes: &request.scopes,
    };
    page(StatusCode::OK, &format!("{intro}\n{}", form.html()), &form_targets(&request.to), random)
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
        action = SandboxEndpoint::Device.route().1,
    );
    page(StatusCode::OK, &body, "'self'", random)
}

/// Returns the page on which the user approves or denies a request of another device.
pub(in crate::sandbox) fn device_decision(scopes: &[String], user_code: &str, random: Random) -> Reply {
    let intro = format!(
        "<h1>Sandbox: connect a device</h1>\n\
         <p>The application <strong>{CLIENT_ID}</strong> on another device shows the code <strong>{}</strong>.</p>",
        escape(user_code),
    );
    let form = DecisionForm { action: SandboxEndpoint::DeviceDecision, hidden: ("user_code", user_code), scopes };
    page(StatusCode::OK, &format!("{intro}\n{}", form.html()), "'self'", random)
}

/// Returns the page after the decision for another device.
pub(in crate::sandbox) fn device_decided(random: Random) -> Reply {
    page(StatusCode::OK, "<h1>Done</h1>\n<p>You can return to your device.</p>", "'none'", random)
}

/// Returns the page that explains an error.
pub(in crate::sandbox) fn error(why: &str, random: Random) -> Reply {
    let body = format!("<h1>Invalid request</h1>\n<p>{}</p>", escape(why));
    page(StatusCode::BAD_REQUEST, &body, "'none'", random)
}

/// A form with the requested scopes, the user's name, and the buttons to decide.
struct DecisionForm<'a> {
    action: SandboxEndpoint,
    /// Name and value of the field that identifies the request.
    hidden: (&'a str, &'a str),
    scopes: &'a [String],
}

impl DecisionForm<'_> {
    fn html(&self) -> String {
        let scopes: Vec<String> =
            self.scopes.iter().map(|scope| format!("<li><code>{}</code></li>", escape(scope))).collect();
        format!(
            r#"<p>Requested scopes:</p>
<ul>{scopes}</ul>
<form method="post" action="{action}">
<input type="hidden" name="{name}" value="{value}">
<label>User name
<input name="user" value="{DEFAULT_USER}" maxlength="64" autocomplete="off" spellcheck="false"></label>
<p class="decide">
<button type="submit" name="decision" value="approve">Approve</button>
<button type="submit" name="decision" value="deny">Deny</button>
</p>
</form>
<p><small>This is Strongroom's test authorization server. Its accounts are invented: you can type any user name.</small></p>"#,
            scopes = scopes.concat(),
            action = self.action.route().1,
            name = self.hidden.0,
            value = escape(self.hidden.1),
        )
    }
}

/// Returns a page whose forms may be sent to `form_targets` only.
fn page(status: StatusCode, body: &str, form_targets: &str, random: Random) -> Reply {
    let nonce = STANDARD.encode(random.bytes::<18>());
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Sandbox</title>\n\
         <style nonce=\"{nonce}\">{STYLE}</style>\n</head>\n<body>\n{body}\n</body>\n</html>\n"
    );
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; form-action {form_targets}; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    page_reply(status, html, &policy)
}

/// Returns the targets for `form-action`. Chromium checks it against every redirect after the
/// submission, until the application shows a page, so the sandbox alone is not enough.
fn form_targets(redirect_uri: &Url) -> String {
    let targets = "'self' https: http://localhost:* http://127.0.0.1:*";
    match redirect_uri.scheme() {
        "https" => targets.to_owned(),
        "http" if matches!(redirect_uri.host_str(), Some("localhost" | "127.0.0.1")) => targets.to_owned(),
        scheme => format!("{targets} {scheme}:"),
    }
}
