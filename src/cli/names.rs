//! Names that an operator mistyped: a filter that finds nothing is checked, and the error names the
//! known name that was most likely meant.

use super::failure::Failure;
use super::output::note;
use crate::broker::{UnknownProvider, VaultAdmin, audit_actions};
use crate::id::{ApiKeyId, IssuerName, UserId};
use crate::validation::{did_you_mean, is_slip, nearest};

/// Actors of the audit log that are not followed by an id.
const ACTORS: [&str; 2] = ["command-line", "system"];

/// Checks that the user exists.
pub(super) fn check_user(admin: &VaultAdmin, user: &UserId) -> Result<(), Failure> {
    let users = admin.users()?;
    if users.iter().any(|known| known.id == *user) {
        return Ok(());
    }
    let near = nearest(user.as_str(), users.iter().map(|known| known.id.as_str()));
    let message = format!("there is no user {user}{}", did_you_mean(near));
    Err(Failure::new(message).advise("`strongroom user list` lists all users"))
}

/// Points out that a user to be added is named almost as another one, and therefore maybe mistyped.
pub(super) fn hint_new_user(admin: &VaultAdmin, user: &UserId) -> Result<(), Failure> {
    let users = admin.users()?;
    if users.iter().any(|known| known.id == *user) {
        return Ok(());
    }
    let alike = users.iter().filter(|known| is_slip(user.as_str(), known.id.as_str()));
    let other_case = |id: &UserId| id.as_str().eq_ignore_ascii_case(user.as_str());
    if let Some(near) = alike.max_by_key(|known| other_case(&known.id)) {
        note(format!("warning: {user} is a new user; there is a user '{}' with a similar name", near.id));
    }
    Ok(())
}

/// Checks the values for the URLs of the provider `name`, which has the inputs `known`.
pub(super) fn check_inputs(name: &str, known: &[&str], given: &[(String, String)]) -> Result<(), Failure> {
    let Some((unknown, _)) = given.iter().find(|(name, _)| !known.contains(&name.as_str())) else { return Ok(()) };
    let near = did_you_mean(nearest(unknown, known.iter().copied()));
    Err(Failure::configuration(format!("{name} has no input '{unknown}'{near}")).advise(match known {
        [] => format!("{name} needs no --input"),
        _ => format!("its inputs are: {}", known.join(", ")),
    }))
}

/// Checks the filters of a list that found nothing: provider, if the catalogue was asked, and user.
pub(super) fn check_filters(
    admin: &VaultAdmin,
    provider: Result<(), UnknownProvider>,
    user: Option<&UserId>,
) -> Result<(), Failure> {
    provider?;
    user.map_or(Ok(()), |user| check_user(admin, user))
}

/// Checks that the pattern of an action, in which `*` stands for any text, can match one.
pub(super) fn check_action(pattern: &str) -> Result<(), Failure> {
    let wild = ['*', '?', '['];
    let is_exact = !pattern.contains(wild);
    let (first, last) =
        (pattern.split(wild).next().unwrap_or_default(), pattern.rsplit(wild).next().unwrap_or_default());
    // The end of a pattern with brackets is not a text.
    let last = if pattern.contains('[') { "" } else { last };
    let fits =
        |action: &str| if is_exact { action == pattern } else { action.starts_with(first) && action.ends_with(last) };
    if audit_actions().any(fits) {
        return Ok(());
    }
    let group = |action: &str| action.split_once('.').map(|(group, _)| format!("{group}.*"));
    let known: Vec<String> = if is_exact {
        audit_actions().map(str::to_owned).collect()
    } else {
        audit_actions().filter_map(group).collect()
    };
    let near = nearest(pattern, known.iter().map(String::as_str));
    let message = format!("the audit log has no action '{pattern}'{}", did_you_mean(near));
    Err(Failure::new(message)
        .advise("docs/audit-log.md lists all actions; `*` stands for any text, as in 'credential.*'"))
}

/// Checks that an actor has the form that the audit log writes.
pub(super) fn check_actor(actor: &str) -> Result<(), Failure> {
    let is_known = match actor.split_once(':') {
        Some(("key", id)) => id.parse::<ApiKeyId>().is_ok(),
        Some(("token", issuer)) => issuer.parse::<IssuerName>().is_ok(),
        _ => ACTORS.contains(&actor),
    };
    if is_known {
        return Ok(());
    }
    let message = format!("the audit log has no actor '{actor}'{}", did_you_mean(nearest(actor, ACTORS)));
    Err(Failure::new(message).advise("write key:ID, token:ISSUER, command-line or system"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_actions_and_actors_name_the_nearest() {
        let said = |checked: Result<(), Failure>| checked.err().map(|failure| failure.parts().0.to_owned());
        let id = "0192d3f0-7c3a-7000-8000-00000000000f";
        for known in ["key.update", "credential.*", "*", "*.read", "key.?reate", "[ck]*"] {
            assert_eq!(said(check_action(known)), None, "{known}");
        }
        for (wrong, near) in
            [("credental.read", "credential.read"), ("credental.*", "credential.*"), ("keys.*", "key.*")]
        {
            assert!(said(check_action(wrong)).unwrap().ends_with(&format!("did you mean '{near}'?")), "{wrong}");
        }
        for known in ["system", "command-line", "token:corp", &format!("key:{id}")] {
            assert_eq!(said(check_actor(known)), None, "{known}");
        }
        for (wrong, near) in [("sytem", "; did you mean 'system'?"), ("key:7", ""), ("x", "")] {
            assert_eq!(said(check_actor(wrong)), Some(format!("the audit log has no actor '{wrong}'{near}")));
        }
    }
}
