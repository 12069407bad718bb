//! Evaluation of an API key's grants for one request.

use std::fmt;

use super::grant::{Approval, KeyGrant, Mismatch, RequestFacts};
use super::rate::Rate;
use crate::clock::UnixTime;
use crate::id::GrantId;

/// The grants of one API key.
#[derive(Clone, Copy, Debug)]
pub struct KeyRules<'g> {
    /// True if the key may only do what a grant allows. Its first grant makes a key so for good.
    pub grants_only: bool,
    /// The grants, in the order of their creation.
    pub grants: &'g [KeyGrant],
}

/// The decision about a request.
#[derive(Clone, Debug, PartialEq)]
pub enum PolicyDecision<'g> {
    /// The request may be sent. The grants that allow it are counted against their rates; there is
    /// none if the key is not limited to grants.
    Allowed(Vec<&'g KeyGrant>),
    /// A person must approve the request first.
    NeedsApproval {
        /// The first grant that asks for approval.
        rule: &'g KeyGrant,
        /// All grants that allow the request.
        grants: Vec<&'g KeyGrant>,
    },
    /// A deny matches.
    DeniedByGrant(&'g KeyGrant),
    /// The key may only do what a grant allows, and none does.
    DeniedByDefault,
}

impl<'g> KeyRules<'g> {
    /// Decides about a request. A matching deny refuses it. Otherwise an allow must match, unless
    /// the key is not limited to grants. If any matching allow asks for approval, a person decides.
    pub fn decide(&self, request: &RequestFacts<'_>, now: UnixTime) -> PolicyDecision<'g> {
        let matching: Vec<&KeyGrant> =
            self.grants.iter().filter(|grant| grant.mismatch(request, now).is_none()).collect();
        if let Some(deny) = matching.iter().find(|grant| grant.is_deny()) {
            return PolicyDecision::DeniedByGrant(deny);
        }
        let asks =
            |grant: &&&KeyGrant| grant.allowance().is_some_and(|allowance| allowance.approval == Approval::Always);
        match matching.iter().find(asks) {
            Some(rule) => PolicyDecision::NeedsApproval { rule, grants: matching },
            None if matching.is_empty() && self.grants_only => PolicyDecision::DeniedByDefault,
            None => PolicyDecision::Allowed(matching),
        }
    }

    /// Decides about a request, and gives the reasons.
    pub fn explain(&self, request: &RequestFacts<'_>, now: UnixTime) -> Explanation<'g> {
        let missed = self.grants.iter().filter_map(|grant| Some((grant, grant.mismatch(request, now)?)));
        Explanation { decision: self.decide(request, now), missed: missed.collect() }
    }

    /// Returns true if a grant has paths. Then a request must send its path in canonical spelling.
    pub fn have_paths(&self) -> bool {
        self.grants.iter().any(|grant| !grant.paths.is_empty())
    }

    /// Returns true if a grant has methods. Then a request must not override its method.
    pub fn have_methods(&self) -> bool {
        self.grants.iter().any(|grant| !grant.methods.is_empty())
    }
}

impl<'g> PolicyDecision<'g> {
    /// Returns true if the request is refused, and no approval can change it.
    pub fn is_denied(&self) -> bool {
        matches!(self, Self::DeniedByGrant(_) | Self::DeniedByDefault)
    }

    /// Returns the grant that decides, for the audit log; `None` if the key's defaults do.
    pub fn rule(&self) -> Option<&'g KeyGrant> {
        match self {
            Self::Allowed(grants) => grants.first().copied(),
            Self::NeedsApproval { rule, .. } | Self::DeniedByGrant(rule) => Some(rule),
            Self::DeniedByDefault => None,
        }
    }

    /// Returns the rates that the request is counted against: each must have room for it.
    pub fn rates(&self) -> impl Iterator<Item = (GrantId, Rate)> {
        let grants = match self {
            Self::Allowed(grants) | Self::NeedsApproval { grants, .. } => grants.as_slice(),
            Self::DeniedByGrant(_) | Self::DeniedByDefault => &[],
        };
        grants.iter().filter_map(|grant| Some((grant.id, grant.allowance()?.rate?)))
    }
}

impl fmt::Display for PolicyDecision<'_> {
    /// Names the rule that decides.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed(grants) => match grants.first() {
                Some(grant) => write!(f, "allowed by grant {}", grant.id),
                None => f.write_str("allowed: the key is not limited to grants"),
            },
            Self::NeedsApproval { rule, .. } => write!(f, "needs approval: grant {} asks for it", rule.id),
            Self::DeniedByGrant(grant) => write!(f, "denied by grant {}", grant.id),
            Self::DeniedByDefault => f.write_str("denied: no grant of the key allows the request"),
        }
    }
}

/// A decision, and the reason for which each of the other grants does not match.
#[derive(Clone, Debug)]
pub struct Explanation<'g> {
    /// The decision.
    pub decision: PolicyDecision<'g>,
    /// Grants that do not match, each with its first condition that is not met.
    pub missed: Vec<(&'g KeyGrant, Mismatch)>,
}

impl fmt::Display for Explanation<'_> {
    /// Writes one line for the decision, and one for each grant that does not match.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.decision)?;
        for (grant, mismatch) in &self.missed {
            write!(f, "\ngrant {} does not match: {mismatch}", grant.id)?;
        }
        Ok(())
    }
}
