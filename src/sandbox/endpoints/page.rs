//! The pages for the user: plain HTML without scripts, every value escaped.

use bytes::Bytes;
use http::StatusCode;
use http_body_util::Full;
use url::Url;

use crate::html::{escape, page_with_forms};
use crate::random::Random;
use crate::sandbox::client::CLIENT_ID;
use crate::sandbox::endpoint::SandboxEndpoint;
use crate::sandbox::message::decision::DEFAULT_USER;
use crate::sandbox::message::reply::Reply;
use crate::sandbox::state::grants::RequestedAccess;
use crate::secret::Secret;

/// Returns the page on which the user approves or denies a request.
pub(in crate::sandbox) fn decision(request: &RequestedAccess, transaction: &Secret, random: Random) -> Reply {
    let intro = format!(
        "<p>The application <strong>{CLIENT_ID}</strong> asks for access to an account. You will be sent back to \
         <code>{}</code>.</p>",
        escape(&request.redirect_uri),
    );
    let form = DecisionForm {
        action: SandboxEndpoint::Decision,
        hidden: ("transaction", transaction.expose()),
        scopes: &request.scopes,
    };
    let body = format!("{intro}\n{}", form.html());
    page(StatusCode::OK, ("sign in and decide", &body), &form_targets(&request.to), random)
}

/// Returns the page on which the user types the code of another device.
pub(in crate::sandbox) fn ask_for_code(random: Random) -> Reply {
    let body = format!(
        r#"<form method="get" action="{action}">
<label>Code shown on the device
<input name="user_code" maxlength="16" autocomplete="off" autocapitalize="characters" spellcheck="false" autofocus></label>
<p class="decide"><button type="submit">Continue</button></p>
</form>"#,
        action = SandboxEndpoint::Device.route().1,
    );
    page(StatusCode::OK, ("connect a device", &body), "'self'", random)
}

/// Returns the page on which the user approves or denies a request of another device.
pub(in crate::sandbox) fn device_decision(scopes: &[String], user_code: &str, random: Random) -> Reply {
    let intro = format!(
        "<p>The application <strong>{CLIENT_ID}</strong> on another device shows the code <strong>{}</strong>.</p>",
        escape(user_code),
    );
    let form = DecisionForm { action: SandboxEndpoint::DeviceDecision, hidden: ("user_code", user_code), scopes };
    let body = format!("{intro}\n{}", form.html());
    page(StatusCode::OK, ("connect a device", &body), "'self'", random)
}

/// Returns the page after the decision for another device.
pub(in crate::sandbox) fn device_decided(random: Random) -> Reply {
    page(StatusCode::OK, ("done", "<p>You can return to your device.</p>"), "'none'", random)
}

/// Returns the page that explains an error.
pub(in crate::sandbox) fn error(why: &str, random: Random) -> Reply {
    let body = format!("<p>{}</p>", escape(why));
    page(StatusCode::BAD_REQUEST, ("invalid request", &body), "'none'", random)
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
fn page(status: StatusCode, (heading, body): (&str, &str), form_targets: &str, random: Random) -> Reply {
    let heading = format!("Sandbox: {heading}");
    page_with_forms(status, (&heading, body), form_targets, random).map(|html| Full::new(Bytes::from(html)))
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
