//! The life of a grant: requested, decided, exchanged, refreshed, ended. Independent of HTTP.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::ttl_map::TtlMap;
use crate::catalog::entry::RevocationEnds;
use crate::clock::{Clock, UnixTime};
use crate::random::Random;
use crate::sandbox::message::error::EndpointError;
use crate::sandbox::options::{Behaviour, RefreshTokens};
use crate::secret::Secret;

/// Time in which the user has to decide on the page.
const TRANSACTION_LIFETIME: Duration = Duration::from_secs(600);
/// Time after the expiry of a code during which its reuse still ends its grant.
const REPLAY_WATCH: Duration = Duration::from_secs(600);

/// A checked authorization request.
#[derive(Clone)]
pub(in crate::sandbox) struct RequestedAccess {
    pub(in crate::sandbox) client_id: String,
    /// As sent. The token request has to repeat it unchanged (RFC 6749 §4.1.3).
    pub(in crate::sandbox) redirect_uri: String,
    pub(in crate::sandbox) scopes: Vec<String>,
    pub(in crate::sandbox) state: String,
    /// The S256 challenge (RFC 7636 §4.2).
    pub(in crate::sandbox) code_challenge: Option<String>,
}

/// The access that a user granted to a client. All of its tokens share it, so that it ends for all at once.
pub(in crate::sandbox) struct UserGrant {
    pub(in crate::sandbox) client_id: String,
    pub(in crate::sandbox) user: String,
    pub(in crate::sandbox) scopes: Vec<String>,
    ended: AtomicBool,
}

struct Code {
    request: RequestedAccess,
    user: String,
    expires_at: UnixTime,
    state: CodeState,
}

enum CodeState {
    Fresh,
    /// Used before; with its grant, if the exchange succeeded.
    Used(Option<Arc<UserGrant>>),
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
    pub(in crate::sandbox) scopes: Vec<String>,
    pub(in crate::sandbox) issued_at: UnixTime,
    pub(in crate::sandbox) used_as: TokenUse,
}

/// Tokens for a token response.
pub(in crate::sandbox) struct TokenSet {
    pub(in crate::sandbox) access_token: Secret,
    pub(in crate::sandbox) refresh_token: Option<Secret>,
    pub(in crate::sandbox) expires_in: Duration,
    pub(in crate::sandbox) scopes: Vec<String>,
}

/// The parameters of a code exchange.
pub(in crate::sandbox) struct CodeExchangeRequest<'a> {
    pub(in crate::sandbox) code: &'a str,
    pub(in crate::sandbox) client_id: &'a str,
    pub(in crate::sandbox) redirect_uri: &'a str,
    pub(in crate::sandbox) code_verifier: Option<&'a str>,
}

/// All requests, grants and tokens.
pub(in crate::sandbox) struct Grants {
    clock: Clock,
    random: Random,
    transactions: TtlMap<RequestedAccess>,
    codes: TtlMap<Code>,
    tokens: TtlMap<IssuedToken>,
}

impl Grants {
    pub(in crate::sandbox) fn new(clock: Clock, random: Random) -> Self {
        Self {
            transactions: TtlMap::new(clock.clone(), 1_024),
            codes: TtlMap::new(clock.clone(), 4_096),
            tokens: TtlMap::new(clock.clone(), 65_536),
            clock,
            random,
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
    pub(in crate::sandbox) fn approve(
        &mut self,
        request: RequestedAccess,
        user: String,
        behaviour: &Behaviour,
    ) -> Secret {
        let expires_at = self.clock.now().plus(behaviour.code_lifetime);
        let code = Code { request, user, expires_at, state: CodeState::Fresh };
        self.codes.insert(self.random, "sandbox_code_", code, behaviour.code_lifetime + REPLAY_WATCH)
    }

    /// Exchanges a code (RFC 6749 §4.1.3). Every attempt uses up the code; a second one ends the
    /// grant of the first (§4.1.2).
    pub(in crate::sandbox) fn redeem(
        &mut self,
        with: &CodeExchangeRequest<'_>,
        behaviour: &Behaviour,
    ) -> Result<TokenSet, EndpointError> {
        let now = self.clock.now();
        let code = self.codes.get_mut(with.code).ok_or(EndpointError::InvalidGrant("unknown code"))?;
        if let CodeState::Used(grant) = &code.state {
            if let Some(grant) = grant {
                grant.end();
            }
            return Err(EndpointError::InvalidGrant("the code was used before; its grant has been revoked"));
        }
        code.state = CodeState::Used(None);
        if code.expires_at <= now {
            return Err(EndpointError::InvalidGrant("the code has expired"));
        }
        code.request.check(with)?;
        let (request, user) = (code.request.clone(), code.user.clone());
        let (grant, issued) = self.grant(request.client_id, user, &request.scopes, behaviour);
        if let Some(code) = self.codes.get_mut(with.code) {
            code.state = CodeState::Used(Some(grant));
        }
        Ok(issued)
    }

    /// Creates a grant and issues its first tokens.
    pub(in crate::sandbox) fn grant(
        &mut self,
        client_id: String,
        user: String,
        requested: &[String],
        behaviour: &Behaviour,
    ) -> (Arc<UserGrant>, TokenSet) {
        let granted = |scope: &&String| behaviour.granted_scopes.as_ref().is_none_or(|granted| granted.contains(scope));
        let scopes = requested.iter().filter(granted).cloned().collect();
        let grant = Arc::new(UserGrant { client_id, user, scopes, ended: AtomicBool::new(false) });
        let refresh_token = match behaviour.refresh_tokens {
            RefreshTokens::Absent => None,
            RefreshTokens::Reusable | RefreshTokens::Rotating => Some(self.refresh_token(&grant, behaviour)),
        };
        let issued = self.issue(&grant, grant.scopes.clone(), refresh_token, behaviour);
        (grant, issued)
    }

    /// Refreshes (RFC 6749 §6) for the named scopes, or for all of the grant. Reuse of a replaced
    /// refresh token ends the grant.
    pub(in crate::sandbox) fn refresh(
        &mut self,
        token: &str,
        client_id: &str,
        scopes: &[String],
        behaviour: &Behaviour,
    ) -> Result<TokenSet, EndpointError> {
        let unknown = EndpointError::InvalidGrant("unknown refresh token");
        let held = self.tokens.get_mut(token).ok_or(unknown)?;
        let TokenUse::Refresh { spent } = held.used_as else { return Err(unknown) };
        let grant = Arc::clone(&held.grant);
        if grant.client_id != client_id {
            return Err(unknown);
        }
        if grant.has_ended() {
            return Err(EndpointError::InvalidGrant("the grant has been revoked"));
        }
        if spent {
            grant.end();
            return Err(EndpointError::InvalidGrant("the refresh token was used before; its grant has been revoked"));
        }
        if !scopes.iter().all(|scope| grant.scopes.contains(scope)) {
            return Err(EndpointError::InvalidScope("a scope that was not granted"));
        }
        let rotates = behaviour.refresh_tokens == RefreshTokens::Rotating;
        held.used_as = TokenUse::Refresh { spent: rotates };
        let successor = rotates.then(|| self.refresh_token(&grant, behaviour));
        let scopes = if scopes.is_empty() { grant.scopes.clone() } else { scopes.to_vec() };
        Ok(self.issue(&grant, scopes, successor, behaviour))
    }

    /// Revokes a token (RFC 7009 §2.1), and whatever the behaviour ends with it. An unknown token
    /// counts as revoked.
    pub(in crate::sandbox) fn revoke(
        &mut self,
        token: &str,
        client_id: &str,
        behaviour: &Behaviour,
    ) -> Result<(), EndpointError> {
        let Some((held, _)) = self.tokens.get(token) else { return Ok(()) };
        if held.grant.client_id != client_id {
            return Err(EndpointError::UnauthorizedClient("the token was issued to another client"));
        }
        match (behaviour.revocation_ends, held.used_as) {
            (RevocationEnds::Grant, _) => {
                let same =
                    |other: &&IssuedToken| other.grant.client_id == client_id && other.grant.user == held.grant.user;
                self.tokens.values().filter(same).for_each(|other| other.grant.end());
            }
            (RevocationEnds::Token, TokenUse::Refresh { .. }) => held.grant.end(),
            (RevocationEnds::Token, TokenUse::Access) => drop(self.tokens.take(token)),
        }
        Ok(())
    }

    /// Returns the number of grants that have a valid token.
    pub(in crate::sandbox) fn live(&self) -> usize {
        let valid = self.tokens.values().filter(|token| token.is_valid());
        valid.map(|token| Arc::as_ptr(&token.grant)).collect::<HashSet<_>>().len()
    }

    /// Returns the token and its expiry, if it is valid.
    pub(in crate::sandbox) fn active(&self, token: &str) -> Option<(&IssuedToken, UnixTime)> {
        self.tokens.get(token).filter(|(held, _)| held.is_valid())
    }

    fn issue(
        &mut self,
        grant: &Arc<UserGrant>,
        scopes: Vec<String>,
        refresh_token: Option<Secret>,
        behaviour: &Behaviour,
    ) -> TokenSet {
        let expires_in = behaviour.access_token_lifetime;
        let token = self.token(grant, scopes.clone(), TokenUse::Access);
        let access_token = self.tokens.insert(self.random, "sandbox_access_", token, expires_in);
        TokenSet { access_token, refresh_token, expires_in, scopes }
    }

    fn refresh_token(&mut self, grant: &Arc<UserGrant>, behaviour: &Behaviour) -> Secret {
        let token = self.token(grant, grant.scopes.clone(), TokenUse::Refresh { spent: false });
        self.tokens.insert(self.random, "sandbox_refresh_", token, behaviour.refresh_token_lifetime)
    }

    fn token(&self, grant: &Arc<UserGrant>, scopes: Vec<String>, used_as: TokenUse) -> IssuedToken {
        IssuedToken { grant: Arc::clone(grant), scopes, issued_at: self.clock.now(), used_as }
    }
}

impl RequestedAccess {
    /// Checks the parameters of the exchange against the request.
    fn check(&self, with: &CodeExchangeRequest<'_>) -> Result<(), EndpointError> {
        if self.client_id != with.client_id {
            return Err(EndpointError::InvalidGrant("the code was issued to another client"));
        }
        if self.redirect_uri != with.redirect_uri {
            return Err(EndpointError::InvalidGrant("redirect_uri is not the one of the authorization request"));
        }
        match (&self.code_challenge, with.code_verifier) {
            (None, None) => Ok(()),
            (Some(challenge), Some(verifier)) if is_verifier(verifier) && challenge_matches(challenge, verifier) => {
                Ok(())
            }
            (Some(_), Some(_)) => Err(EndpointError::InvalidGrant("code_verifier does not match the code_challenge")),
            (Some(_), None) => Err(EndpointError::InvalidGrant("code_verifier is missing")),
            (None, Some(_)) => Err(EndpointError::InvalidGrant("a code_verifier without a code_challenge")),
        }
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

/// Returns true for 43 to 128 unreserved characters (RFC 7636 §4.1).
fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._~".contains(&c))
}

/// Compares a challenge with a verifier, method S256 (RFC 7636 §4.6).
fn challenge_matches(challenge: &str, verifier: &str) -> bool {
    let computed = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    computed.as_bytes().ct_eq(challenge.as_bytes()).into()
}
