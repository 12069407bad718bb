//! `strongroom approval approve` and `deny`: shows the request, and stores the decision.

use crate::broker::{Administrator, ApprovalReader, ApprovalView};
use crate::cli::confirm::Confirmation;
use crate::cli::context::Context;
use crate::cli::failure::Failure;
use crate::cli::output::{Output, note};
use crate::cli::runtime::block_on;
use crate::id::ApprovalId;
use crate::visible::plain;

pub(super) fn approve(
    id: ApprovalId,
    confirmation: Confirmation,
    context: &Context,
    out: &mut Output,
) -> Result<(), Failure> {
    let (broker, operator) = (context.broker()?, Administrator::command_line(None));
    let reader = ApprovalReader { administrator: Some(operator.clone()), key: None };
    lines(&broker.approval(&reader, &id.to_string())?).into_iter().for_each(note);
    confirmation.confirm(&format!("Approve request {id}?"))?;
    let approved = block_on(broker.decide_approval(&operator, &id.to_string(), true))??;
    out.line(format!("approved request {id}: it may be sent once until {}", approved.expires_at))
}

pub(super) fn deny(id: ApprovalId, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let (broker, operator) = (context.broker()?, Administrator::command_line(None));
    block_on(broker.decide_approval(&operator, &id.to_string(), false))??;
    out.line(format!("denied request {id}"))
}

/// Returns the request as it would be sent. Each text of the caller stays on its own line.
fn lines(approval: &ApprovalView) -> Vec<String> {
    let mut lines =
        vec![format!("API key {} for user {}, credential {}:", approval.key, approval.user, approval.credential)];
    lines.push(plain(&format!("{} {}", approval.method, approval.url)));
    lines.extend(approval.headers.iter().map(|header| plain(&format!("{}: {}", header.name, header.value))));
    if approval.body_length > 0 {
        let coding = if approval.body_is_base64 { ", shown in base64" } else { "" };
        lines.push(format!("body of {} bytes{coding}:", approval.body_length));
    }
    let body = approval.body.iter().flat_map(|body| body.lines());
    lines.extend(body.map(|line| format!("  {}", plain(line))));
    if approval.body_not_shown > 0 {
        lines.push(format!("{} more bytes of the body are NOT shown, and are approved too", approval.body_not_shown));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixTime;

    #[test]
    fn bytes_that_are_not_shown_are_named() {
        let id = "0192d3f0-7c3a-7000-8000-00000000000f";
        let whole = ApprovalView {
            id: id.parse().unwrap(),
            status: "pending",
            key: id.parse().unwrap(),
            user: "alice".parse().unwrap(),
            provider: "github".parse().unwrap(),
            credential: id.parse().unwrap(),
            grant: id.parse().unwrap(),
            method: "POST".to_owned(),
            url: "https://api.github.com/x".to_owned(),
            headers: Vec::new(),
            body: Some("one\ntwo".to_owned()),
            body_is_base64: false,
            body_length: 7,
            body_not_shown: 0,
            created_at: UnixTime(0),
            expires_at: UnixTime(1),
        };
        assert_eq!(lines(&whole)[1..], ["POST https://api.github.com/x", "body of 7 bytes:", "  one", "  two"]);
        let cut = ApprovalView { body_length: 70_007, body_not_shown: 70_000, ..whole };
        let last = "70000 more bytes of the body are NOT shown, and are approved too";
        assert_eq!(lines(&cut).last().unwrap(), last);
    }
}
