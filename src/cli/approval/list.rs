//! `strongroom approval list`: requests that wait for approval, and recent decisions.

use crate::broker::Administrator;
use crate::cli::context::Context;
use crate::cli::credential::report_damage;
use crate::cli::failure::Failure;
use crate::cli::output::Output;

pub(super) fn list(json: bool, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let (broker, operator) = (context.broker()?, Administrator::command_line(None));
    let (mut approvals, mut damaged, mut after) = (Vec::new(), Vec::new(), None);
    loop {
        let page = broker.approvals(&operator, after, None)?;
        approvals.extend(page.approvals);
        damaged.extend(page.damaged);
        after = page.next_after;
        if after.is_none() {
            break;
        }
    }
    out.list(json, &approvals, ["ID", "STATUS", "KEY", "USER", "REQUEST", "UNTIL"], |one| {
        let request = format!("{} {}", one.method, one.url);
        let [id, key, user] = [one.id.to_string(), one.key.to_string(), one.user.to_string()];
        [id, one.status.to_owned(), key, user, request, one.expires_at.to_string()]
    })?;
    report_damage(damaged, out)
}
