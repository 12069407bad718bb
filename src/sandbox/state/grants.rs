//! The life of a grant: requested, decided, exchanged, refreshed, ended. Independent of HTTP.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use url::Url;

use super::ttl_map::TtlMap;
use crate::catalog::entry::RevocationEnds;
use crate::clock::Clock;
use crate::random::Random;
use crate::sandbox::behaviour::{Behaviour, RefreshTokens};
use crate::sandbox::message::error::EndpointError;
use crate::secret::Secret;

/// Time in which the user has to decide on the page.
const TRANSACTION_LIFETIME: Duration = Duration::from_secs(600);
/// Lifetime of a code (RFC 6749 §4.1.2 recommends at most ten minutes). Until then, its reuse is
/// noticed too.
const CODE_LIFETIME: Duration = Duration::from_secs(600);

/// A checked authorization request.
#[derive(Clone)]
pub(in crate::sandbox) struct RequestedAccess {
    /// As sent. The token request has to repeat it unchanged (RFC 6749 §4.1.3).
    pub(in crate::sandbox) redirect_uri: String,
    /// The same URI, parsed.
    pub(in crate::sandbox) to: Url,
    pub(in crate::sandbox) scopes: Vec<String>,
    pub(in crate::sandbox) state: String,
    /// The S256 challenge (RFC 7636 §4.2).
    pub(in crate::sandbox) code_challenge: String,
}

/// The access that a user granted. All of its tokens share it, so that it ends for all at once.
pub(in crate::sandbox) struct UserGrant {
    pub(in crate::sandbox) user: String,
    scopes: Vec<String>,
    ended: AtomicBool,
}

struct Code {
    request: RequestedAccess,
    user: String,
    used: bool,
    /// The grant, if the exchange succeeded.
    grant: Option<Arc<UserGrant>>,
}

/// Kind of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sandbox) enum TokenUse {
    Access,
    Refresh {
        /// True if it was replaced by its successor.
        spent: bool,
    },
}

/// An issued token.
pub(in crate::sandbox) struct IssuedToken {
    pub(in crate::sandbox) grant: Arc<UserGrant>,
    pub(in crate::sandbox) used_as: TokenUse,
}

/// Tokens for a token response.
pub(in crate::sandbox) struct TokenSet {
    pub(in crate::sandbox) access_token: Secret,
    pub(in crate::sandbox) refresh_token: Option<Secret>,
    pub(in crate::sandbox) expires_in: Duration,
    pub(in crate::sandbox) scopes: Vec<String>,
}

/// All requests, grants and tokens.
pub(in crate::sandbox) struct Grants {
    pub(in crate::sandbox) behaviour: Behaviour,
    random: Random,
    transactions: TtlMap<RequestedAccess>,
    codes: TtlMap<Code>,
    tokens: TtlMap<IssuedToken>,
}

impl Grants {
    pub(in crate::sandbox) fn new(clock: &Clock, random: Random) -> Self {
        Self {
            behaviour: Behaviour::default(),
            random,
            transactions: TtlMap::new(clock.clone()),
            codes: TtlMap::new(clock.clone()),
            tokens: TtlMap::new(clock.clone()),
        }
    }

    /// Stores a request while the user decides, and returns its transaction id for the page's form.
    pub(in crate::sandbox) fn begin(&mut self, request: RequestedAccess) -> Secret {
        self.transactions.insert(self.random, "", request, TRANSACTION_LIFETIME)
    }

    /// Removes and returns the request with this transaction id.
    pub(in crate::sandbox) fn decide(&mut self, transaction: &str) -> Option<RequestedAccess> {
        self.transactions.take(transaction)
    }

    /// Returns a code for an approved request.
    pub(in crate::sandbox) fn approve(&mut self, request: RequestedAccess, user: String) -> Secret {
        let code = Code { request, user, used: false, grant: None };
        self.codes.insert(self.random, "sandbox_code_", code, CODE_LIFETIME)
    }

    /// Exchanges a code (RFC 6749 §4.1.3). Every attempt uses up the code; a second one ends the
    /// grant of the first (§4.1.2).
    pub(in crate::sandbox) fn redeem(
        &mut self,
        code: &str,
        redirect_uri: &str,
        code_verifier: Option<&str>,
    ) -> Result<TokenSet, EndpointError> {
        let unknown = EndpointError::invalid_grant("the code is unknown or has expired");
        let found = self.codes.get_mut(code).ok_or(unknown)?;
        if found.used {
            found.grant.iter().for_each(|grant| grant.end());
            return Err(EndpointError::invalid_grant("the code was used before; its grant has been revoked"));
        }
        found.used = true;
        found.request.check(redirect_uri, code_verifier)?;
        let (user, scopes) = (found.user.clone(), found.request.scopes.clone());
        let (grant, issued) = self.grant(user, &scopes, self.behaviour.refresh_tokens);
        if let Some(found) = self.codes.get_mut(code) {
            found.grant = Some(grant);
        }
        Ok(issued)
    }

    /// Creates a grant and issues its first tokens.
    pub(in crate::sandbox) fn grant(
        &mut self,
        user: String,
        requested: &[String],
        refresh_tokens: RefreshTokens,
    ) -> (Arc<UserGrant>, TokenSet) {
        let limit = self.behaviour.granted_scopes.as_ref();
        let granted = |scope: &&String| limit.is_none_or(|granted| granted.contains(scope));
        let scopes = requested.iter().filter(granted).cloned().collect();
        let grant = Arc::new(UserGrant { user, scopes, ended: AtomicBool::new(false) });
        let refresh_token = (refresh_tokens != RefreshTokens::Absent).then(|| self.refresh_token(&grant));
        let issued = self.issue(&grant, grant.scopes.clone(), refresh_token);
        (grant, issued)
    }

    /// Refreshes (RFC 6749 §6) for the named scopes, or for all of the grant. Reuse of a replaced
    /// refresh token ends the grant.
    pub(in crate::sandbox) fn refresh(
        &mut self,
        token: &str,
        scopes: Option<Vec<String>>,
    ) -> Result<TokenSet, EndpointError> {
        let unknown = EndpointError::invalid_grant("unknown refresh token");
        let held = self.tokens.get_mut(token).ok_or(unknown)?;
        let TokenUse::Refresh { spent } = held.used_as else { return Err(unknown) };
        let grant = Arc::clone(&held.grant);
        if grant.has_ended() {
            return Err(EndpointError::invalid_grant("the grant has been revoked"));
        }
        if spent {
            grant.end();
            return Err(EndpointError::invalid_grant("the refresh token was used before; its grant has been revoked"));
        }
        let scopes = scopes.unwrap_or_else(|| grant.scopes.clone());
        if !scopes.iter().all(|scope| grant.scopes.contains(scope)) {
            return Err(EndpointError::new("invalid_scope", "a scope that was not granted"));
        }
        let rotates = self.behaviour.refresh_tokens == RefreshTokens::Rotating;
        held.used_as = TokenUse::Refresh { spent: rotates };
        let successor = rotates.then(|| self.refresh_token(&grant));
        Ok(self.issue(&grant, scopes, successor))
    }

    /// Revokes a token (RFC 7009 §2.1), and whatever the behaviour ends with it. An unknown token
    /// counts as revoked.
    pub(in crate::sandbox) fn revoke(&mut self, token: &str) {
        let Some(held) = self.tokens.get(token) else { return };
        match (self.behaviour.revocation_ends, held.used_as) {
            (RevocationEnds::Grant, _) => {
                let of_user = |other: &&IssuedToken| other.grant.user == held.grant.user;
                self.tokens.values().filter(of_user).for_each(|other| other.grant.end());
            }
            (RevocationEnds::Token, TokenUse::Refresh { .. }) => held.grant.end(),
            (RevocationEnds::Token, TokenUse::Access) => drop(self.tokens.take(token)),
        }
    }

    /// Returns the number of grants that have a valid token.
    pub(in crate::sandbox) fn live(&self) -> usize {
        let valid = self.tokens.values().filter(|token| token.is_valid());
        valid.map(|token| Arc::as_ptr(&token.grant)).collect::<HashSet<_>>().len()
    }

    /// Returns the token if it is valid.
    pub(in crate::sandbox) fn active(&self, token: &str) -> Option<&IssuedToken> {
        self.tokens.get(token).filter(|held| held.is_valid())
    }

    fn issue(&mut self, grant: &Arc<UserGrant>, scopes: Vec<String>, refresh_token: Option<Secret>) -> TokenSet {
        let expires_in = self.behaviour.access_token_lifetime;
        let token = IssuedToken { grant: Arc::clone(grant), used_as: TokenUse::Access };
        let access_token = self.tokens.insert(self.random, "sandbox_access_", token, expires_in);
        TokenSet { access_token, refresh_token, expires_in, scopes }
    }

    fn refresh_token(&mut self, grant: &Arc<UserGrant>) -> Secret {
        let token = IssuedToken { grant: Arc::clone(grant), used_as: TokenUse::Refresh { spent: false } };
        self.tokens.insert(self.random, "sandbox_refresh_", token, self.behaviour.refresh_token_lifetime)
    }
}

impl RequestedAccess {
    /// Checks the parameters of the exchange against the request.
    fn check(&self, redirect_uri: &str, code_verifier: Option<&str>) -> Result<(), EndpointError> {
        if self.redirect_uri != redirect_uri {
            return Err(EndpointError::invalid_grant("redirect_uri is not the one of the authorization request"));
        }
        let verifier = code_verifier.ok_or(EndpointError::invalid_grant("code_verifier is missing"))?;
        if URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)) != self.code_challenge {
            return Err(EndpointError::invalid_grant("code_verifier does not match the code_challenge"));
        }
        Ok(())
    }
}

impl IssuedToken {
    fn is_valid(&self) -> bool {
        !self.grant.has_ended() && self.used_as != TokenUse::Refresh { spent: true }
    }
}

impl UserGrant {
    fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}
