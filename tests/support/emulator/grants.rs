//! The grants of an emulated provider: codes, tokens and the order of their revocation. Nothing
//! expires, because the tests' clock stands still.

use std::collections::{BTreeMap, HashMap};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use strongroom::catalog::entry::TokenKind;
use strongroom::random::Random;

use super::violation::{Violation, require};

/// An approved authorization request.
#[derive(Clone)]
pub struct Authorization {
    pub client_id: String,
    pub user: String,
    pub redirect_uri: String,
    pub scopes: Vec<String>,
    /// Scopes of further tokens, by the tokens' names.
    pub further: BTreeMap<String, Vec<String>>,
    pub code_challenge: Option<String>,
}

/// The parameters of a code exchange.
pub struct Redemption {
    pub code: String,
    pub redirect_uri: String,
    pub code_verifier: Option<String>,
}

/// Handling of refresh tokens by a provider.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum RefreshMode {
    Absent,
    Reusable,
    Rotating,
}

/// A user's grant to a client.
pub struct Grant {
    pub client_id: String,
    pub user: String,
    scopes: Vec<String>,
    redirect_uri: String,
    ended: bool,
    /// Number of its tokens that were sent to be revoked.
    revocations: usize,
}

/// An issued token.
struct Token {
    grant: usize,
    kind: TokenKind,
    /// True for a refresh token that was replaced by its successor.
    spent: bool,
}

/// Tokens for a token response.
pub struct Issued {
    pub access_token: String,
    pub refresh_token: Option<String>,
    pub scopes: Vec<String>,
    /// Further tokens of the same login, by their names.
    pub further: BTreeMap<String, Issued>,
    pub user: String,
}

/// Everything that the provider has issued.
pub struct Grants {
    mode: RefreshMode,
    granted_scopes: Vec<String>,
    codes: HashMap<String, Authorization>,
    all: Vec<Grant>,
    tokens: HashMap<String, Token>,
}

impl Grants {
    pub fn new(mode: RefreshMode, granted_scopes: Vec<String>) -> Self {
        Self { mode, granted_scopes, codes: HashMap::new(), all: Vec::new(), tokens: HashMap::new() }
    }

    /// Returns a code for the approved request.
    pub fn approve(&mut self, authorization: Authorization) -> String {
        let code = format!("code_{}", Random.base64url::<32>());
        self.codes.insert(code.clone(), authorization);
        code
    }

    /// Exchanges a code, which works once.
    pub fn redeem(&mut self, with: &Redemption, client_id: &str) -> Result<Issued, Violation> {
        let approved = self.codes.remove(&with.code);
        let approved = approved.ok_or_else(|| Violation("the code is unknown or used".to_owned()))?;
        require(approved.client_id == client_id, "the code was issued to another client")?;
        require(approved.redirect_uri == with.redirect_uri, "redirect_uri differs from the authorization request")?;
        let challenge = with.code_verifier.as_ref().map(|text| URL_SAFE_NO_PAD.encode(Sha256::digest(text)));
        require(challenge == approved.code_challenge, "code_verifier does not match the code_challenge")?;
        let mut issued = self.grant(&approved, &approved.scopes);
        for (name, scopes) in &approved.further {
            issued.further.insert(name.clone(), self.grant(&approved, scopes));
        }
        Ok(issued)
    }

    /// Returns those of the requested scopes that this provider grants.
    pub fn granted(&self, requested: &[String]) -> Vec<String> {
        requested.iter().filter(|scope| self.granted_scopes.contains(scope)).cloned().collect()
    }

    fn grant(&mut self, approved: &Authorization, requested: &[String]) -> Issued {
        let scopes = self.granted(requested);
        self.all.push(Grant {
            client_id: approved.client_id.clone(),
            user: approved.user.clone(),
            scopes,
            redirect_uri: approved.redirect_uri.clone(),
            ended: false,
            revocations: 0,
        });
        self.issue(self.all.len() - 1, self.mode != RefreshMode::Absent)
    }

    /// Refreshes with a refresh token.
    pub fn refresh(&mut self, token: &str, client_id: &str, redirect_uri: Option<&str>) -> Result<Issued, Violation> {
        let grant = self.live(token, TokenKind::Refresh, client_id)?;
        let known = self.all[grant].redirect_uri.as_str();
        require(redirect_uri.is_none_or(|sent| sent == known), "redirect_uri differs from the authorization request")?;
        let rotates = self.mode == RefreshMode::Rotating;
        if let Some(token) = self.tokens.get_mut(token) {
            token.spent = rotates;
        }
        Ok(self.issue(grant, rotates))
    }

    /// Exchanges an access token for another one of the same grant.
    pub fn renew(&mut self, token: &str, client_id: &str) -> Result<Issued, Violation> {
        let grant = self.live(token, TokenKind::Access, client_id)?;
        self.tokens.remove(token);
        Ok(self.issue(grant, false))
    }

    fn issue(&mut self, grant: usize, refreshable: bool) -> Issued {
        let mut token = |kind, prefix| {
            let text = format!("{prefix}_{}", Random.base64url::<32>());
            self.tokens.insert(text.clone(), Token { grant, kind, spent: false });
            text
        };
        let access_token = token(TokenKind::Access, "access");
        let refresh_token = refreshable.then(|| token(TokenKind::Refresh, "refresh"));
        let Grant { scopes, user, .. } = &self.all[grant];
        let (scopes, user) = (scopes.clone(), user.clone());
        Issued { access_token, refresh_token, scopes, further: BTreeMap::new(), user }
    }

    fn live(&self, token: &str, kind: TokenKind, client_id: &str) -> Result<usize, Violation> {
        let token = self.tokens.get(token).filter(|token| token.kind == kind && !token.spent);
        let grant = token.map(|token| token.grant);
        let grant = grant.filter(|at| !self.all[*at].ended && self.all[*at].client_id == client_id);
        grant.ok_or_else(|| Violation("the token is unknown, used or another client's".to_owned()))
    }

    /// Returns the grant of a valid access token.
    pub fn by_access_token(&self, token: &str) -> Option<&Grant> {
        let token = self.tokens.get(token).filter(|token| token.kind == TokenKind::Access)?;
        Some(&self.all[token.grant]).filter(|grant| !grant.ended)
    }

    /// Revokes a token. `turn` gives the kind that is due as the grant's n-th revocation, and whether
    /// it is the last; with the last one the grant ends.
    pub fn revoke(
        &mut self,
        token: &str,
        named: Option<TokenKind>,
        client_id: Option<&str>,
        turn: impl Fn(usize) -> Option<(TokenKind, bool)>,
    ) -> Result<(), Violation> {
        let token = self.tokens.get(token).ok_or_else(|| Violation("the token is unknown".to_owned()))?;
        require(!token.spent, "the refresh token was used before")?;
        require(named.is_none_or(|named| named == token.kind), "the token is of another kind than named")?;
        let grant = &mut self.all[token.grant];
        require(client_id.is_none_or(|id| id == grant.client_id), "the token was issued to another client")?;
        let due = turn(grant.revocations);
        grant.revocations += 1;
        let (kind, is_last) = due.ok_or_else(|| Violation("more tokens than are revoked here".to_owned()))?;
        require(kind == token.kind, "it is not this token's turn")?;
        grant.ended |= is_last;
        Ok(())
    }

    /// Returns the number of grants of `user` that have not ended.
    pub fn live_of(&self, user: &str) -> usize {
        self.all.iter().filter(|grant| grant.user == user && !grant.ended).count()
    }
}
