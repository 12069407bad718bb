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
    show(&broker.approval(&reader, &id.to_string())?);
    confirmation.confirm(&format!("Approve request {id}?"))?;
    let approved = block_on(broker.decide_approval(&operator, &id.to_string(), true))??;
    out.line(format!("approved request {id}: it may be sent once until {}", approved.expires_at))
}

pub(super) fn deny(id: ApprovalId, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let (broker, operator) = (context.broker()?, Administrator::command_line(None));
    block_on(broker.decide_approval(&operator, &id.to_string(), false))??;
    out.line(format!("denied request {id}"))
}

/// Prints the request as it would be sent. Each text of the caller stays on its own line.
fn show(approval: &ApprovalView) {
    note(format!("API key {} for user {}, credential {}:", approval.key, approval.user, approval.credential));
    note(plain(&format!("{} {}", approval.method, approval.url)));
    for header in &approval.headers {
        note(plain(&format!("{}: {}", header.name, header.value)));
    }
    let Some(body) = &approval.body else { return };
    let coding = if approval.body_is_base64 { ", shown in base64" } else { "" };
    note(format!("body of {} bytes{coding}:", approval.body_length));
    body.lines().for_each(|line| note(format!("  {}", plain(line))));
}
