//! The life of a grant: asked for, decided, exchanged, refreshed, ended. Knows nothing of HTTP.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

mod device;

use self::device::Device;
use super::answer::Refusal;
use super::expiring::Expiring;
use super::options::{Behaviour, RefreshTokens};
use crate::catalog::entry::RevocationEnds;
use crate::clock::{Clock, UnixTime};
use crate::random::Random;
use crate::secret::Secret;

/// How long a person may look at the page.
const TRANSACTION_LIFETIME: Duration = Duration::from_secs(600);
/// For how long after its end the replay of a code is still recognised, and ends what the code gave.
const REPLAY_WATCH: Duration = Duration::from_secs(600);

/// What a client asked for: an authorization request whose every part was found right.
#[derive(Clone)]
pub(super) struct Asked {
    pub(super) client_id: String,
    /// As it was sent: the token request has to repeat it letter by letter (RFC 6749 §4.1.3).
    pub(super) redirect_uri: String,
    pub(super) scopes: Vec<String>,
    /// The scopes of further tokens that the answer is to have, by their names.
    pub(super) further: BTreeMap<String, Vec<String>>,
    pub(super) state: String,
    /// The S256 challenge (RFC 7636 §4.2).
    pub(super) code_challenge: Option<String>,
}

/// What a user granted to a client. It is shared by everything that came from it, so that it ends for all at once.
pub(super) struct Grant {
    pub(super) client_id: String,
    pub(super) user: String,
    pub(super) scopes: Vec<String>,
    /// Where the user was sent back to; nowhere, where the login was on another device or nobody logged in.
    redirect_uri: Option<String>,
    ended: AtomicBool,
    /// How many of its tokens were sent to be revoked, where they have to come in an order.
    revocations: AtomicUsize,
}

struct Code {
    asked: Asked,
    user: String,
    expires_at: UnixTime,
    state: CodeState,
}

enum CodeState {
    Fresh,
    /// Presented before; with what it gave, where it gave anything.
    Spent(Option<Arc<Grant>>),
}

/// Which of the two tokens it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenUse {
    Access,
    Refresh {
        /// Whether it was exchanged for its successor.
        spent: bool,
    },
}

/// A token that was issued.
pub(super) struct Token {
    pub(super) grant: Arc<Grant>,
    pub(super) scopes: Vec<String>,
    pub(super) issued_at: UnixTime,
    pub(super) used_as: TokenUse,
}

/// What a token request is answered with.
pub(super) struct Issued {
    pub(super) access_token: Secret,
    pub(super) refresh_token: Option<Secret>,
    pub(super) expires_in: Duration,
    pub(super) scopes: Vec<String>,
    /// Further tokens for the same login, by their names.
    pub(super) further: BTreeMap<String, Issued>,
}

/// What a client brings to exchange a code.
pub(super) struct Redemption<'a> {
    pub(super) code: &'a str,
    pub(super) client_id: &'a str,
    pub(super) redirect_uri: &'a str,
    pub(super) code_verifier: Option<&'a str>,
}

/// Everything that is asked for, granted and issued.
pub(super) struct Grants {
    clock: Clock,
    random: Random,
    transactions: Expiring<Asked>,
    codes: Expiring<Code>,
    devices: Expiring<Device>,
    tokens: Expiring<Token>,
}

impl Grants {
    pub(super) fn new(clock: Clock, random: Random) -> Self {
        Self {
            transactions: Expiring::new(clock.clone(), 1_024),
            codes: Expiring::new(clock.clone(), 4_096),
            devices: Expiring::new(clock.clone(), 1_024),
            tokens: Expiring::new(clock.clone(), 65_536),
            clock,
            random,
        }
    }

    /// Remembers what was asked while a person decides; the transaction id stands in the page's form.
    pub(super) fn begin(&mut self, asked: Asked) -> Secret {
        self.transactions.keep(self.random, "", asked, TRANSACTION_LIFETIME)
    }

    /// What was asked under this transaction id; once.
    pub(super) fn decide(&mut self, transaction: &str) -> Option<Asked> {
        self.transactions.take(transaction)
    }

    /// The user approves: a code for what was asked.
    pub(super) fn approve(&mut self, asked: Asked, user: String, behaviour: &Behaviour) -> Secret {
        let expires_at = self.clock.now().plus(behaviour.code_lifetime);
        let code = Code { asked, user, expires_at, state: CodeState::Fresh };
        self.codes.keep(self.random, "sandbox_code_", code, behaviour.code_lifetime + REPLAY_WATCH)
    }

    /// Exchanges a code (RFC 6749 §4.1.3). However the attempt ends, the code is spent; a second one ends what the first
    /// gave (§4.1.2).
    pub(super) fn redeem(&mut self, with: &Redemption<'_>, behaviour: &Behaviour) -> Result<Issued, Refusal> {
        let now = self.clock.now();
        let code = self.codes.get_mut(with.code).ok_or(Refusal::InvalidGrant("unknown code"))?;
        if let CodeState::Spent(given) = &code.state {
            if let Some(grant) = given {
                grant.end();
            }
            return Err(Refusal::InvalidGrant("the code was used before; what it gave has been revoked"));
        }
        code.state = CodeState::Spent(None);
        if code.expires_at <= now {
            return Err(Refusal::InvalidGrant("the code has expired"));
        }
        code.asked.allows(with)?;
        let (asked, user) = (code.asked.clone(), code.user.clone());
        let redirect_uri = Some(asked.redirect_uri);
        let (grant, mut issued) =
            self.give(asked.client_id.clone(), user.clone(), &asked.scopes, redirect_uri.clone(), behaviour);
        for (name, scopes) in asked.further {
            let (client_id, user) = (asked.client_id.clone(), user.clone());
            let (_, further) = self.give(client_id, user, &scopes, redirect_uri.clone(), behaviour);
            issued.further.insert(name, further);
        }
        if let Some(code) = self.codes.get_mut(with.code) {
            code.state = CodeState::Spent(Some(grant));
        }
        Ok(issued)
    }

    /// What a client asks for itself.
    pub(super) fn give_client(&mut self, client_id: &str, scopes: &[String], behaviour: &Behaviour) -> Issued {
        self.give(client_id.to_owned(), client_id.to_owned(), scopes, None, behaviour).1
    }

    /// A new grant with its first tokens.
    fn give(
        &mut self,
        client_id: String,
        user: String,
        asked: &[String],
        redirect_uri: Option<String>,
        behaviour: &Behaviour,
    ) -> (Arc<Grant>, Issued) {
        let granted = |scope: &&String| behaviour.granted_scopes.as_ref().is_none_or(|granted| granted.contains(scope));
        let scopes = asked.iter().filter(granted).cloned().collect();
        let (ended, revocations) = (AtomicBool::new(false), AtomicUsize::new(0));
        let grant = Arc::new(Grant { client_id, user, scopes, redirect_uri, ended, revocations });
        let refresh_token = match behaviour.refresh_tokens {
            RefreshTokens::Absent => None,
            RefreshTokens::Lasting | RefreshTokens::Rotating => Some(self.refresh_token(&grant, behaviour)),
        };
        let issued = self.issue(&grant, grant.scopes.clone(), refresh_token, behaviour);
        (grant, issued)
    }

    /// Refreshes (RFC 6749 §6), for all scopes of the grant or for the ones that are named. A spent refresh token that
    /// comes again ends the grant.
    ///
    /// The standard knows no redirect URI here; one that comes nevertheless has to be the grant's.
    pub(super) fn refresh(
        &mut self,
        token: &str,
        client_id: &str,
        scopes: &[String],
        redirect_uri: Option<&str>,
        behaviour: &Behaviour,
    ) -> Result<Issued, Refusal> {
        let unknown = Refusal::InvalidGrant("unknown refresh token");
        let held = self.tokens.get_mut(token).ok_or(unknown)?;
        let TokenUse::Refresh { spent } = held.used_as else { return Err(unknown) };
        let grant = Arc::clone(&held.grant);
        if grant.client_id != client_id {
            return Err(unknown);
        }
        if grant.has_ended() {
            return Err(Refusal::InvalidGrant("the grant has been revoked"));
        }
        if spent {
            grant.end();
            return Err(Refusal::InvalidGrant("the refresh token was used before; its grant has been revoked"));
        }
        if redirect_uri.is_some() && redirect_uri != grant.redirect_uri.as_deref() {
            return Err(Refusal::InvalidGrant("redirect_uri is not the one of the authorization request"));
        }
        if !scopes.iter().all(|scope| grant.scopes.contains(scope)) {
            return Err(Refusal::InvalidScope("a scope that was not granted"));
        }
        let rotates = behaviour.refresh_tokens == RefreshTokens::Rotating;
        held.used_as = TokenUse::Refresh { spent: rotates };
        let successor = rotates.then(|| self.refresh_token(&grant, behaviour));
        let scopes = if scopes.is_empty() { grant.scopes.clone() } else { scopes.to_vec() };
        Ok(self.issue(&grant, scopes, successor, behaviour))
    }

    /// Takes a good access token back, for another one of the same grant.
    pub(super) fn renew(&mut self, token: &str, client_id: &str, behaviour: &Behaviour) -> Result<Issued, Refusal> {
        let unknown = Refusal::InvalidGrant("unknown access token");
        let (held, _) = self.active(token).ok_or(unknown)?;
        if held.used_as != TokenUse::Access || held.grant.client_id != client_id {
            return Err(unknown);
        }
        let grant = Arc::clone(&held.grant);
        drop(self.tokens.take(token));
        Ok(self.issue(&grant, grant.scopes.clone(), None, behaviour))
    }

    /// Revokes a token (RFC 7009 §2.1), and what ends with it as the behaviour has it. A token that is unknown is as
    /// good as revoked.
    pub(super) fn revoke(&mut self, token: &str, client_id: &str, behaviour: &Behaviour) -> Result<(), Refusal> {
        let Some((held, _)) = self.tokens.get(token) else { return Ok(()) };
        if held.grant.client_id != client_id {
            return Err(Refusal::UnauthorizedClient("the token was issued to another client"));
        }
        match (behaviour.revocation_ends, held.used_as) {
            (RevocationEnds::Grant, _) => {
                let same = |other: &&Token| other.grant.client_id == client_id && other.grant.user == held.grant.user;
                self.tokens.values().filter(same).for_each(|other| other.grant.end());
            }
            (RevocationEnds::Token, TokenUse::Refresh { .. }) => held.grant.end(),
            (RevocationEnds::Token, TokenUse::Access) => drop(self.tokens.take(token)),
        }
        Ok(())
    }

    /// How many grants have a token that is good for something.
    pub(super) fn alive(&self) -> usize {
        self.alive_where(|_| true)
    }

    /// The same of one user alone.
    pub(super) fn alive_of(&self, user: &str) -> usize {
        self.alive_where(|grant| grant.user == user)
    }

    fn alive_where(&self, holds: impl Fn(&Grant) -> bool) -> usize {
        let good = self.tokens.values().filter(|token| token.is_good() && holds(&token.grant));
        good.map(|token| Arc::as_ptr(&token.grant)).collect::<HashSet<_>>().len()
    }

    /// A token that was issued, whether or not it is good for anything still.
    pub(super) fn issued(&self, token: &str) -> Option<&Token> {
        self.tokens.get(token).map(|(held, _)| held)
    }

    /// The token and when it expires, while it is good for anything.
    pub(super) fn active(&self, token: &str) -> Option<(&Token, UnixTime)> {
        self.tokens.get(token).filter(|(held, _)| held.is_good())
    }

    fn issue(
        &mut self,
        grant: &Arc<Grant>,
        scopes: Vec<String>,
        refresh_token: Option<Secret>,
        behaviour: &Behaviour,
    ) -> Issued {
        let expires_in = behaviour.access_token_lifetime;
        let token = self.token(grant, scopes.clone(), TokenUse::Access);
        let access_token = self.tokens.keep(self.random, "sandbox_access_", token, expires_in);
        Issued { access_token, refresh_token, expires_in, scopes, further: BTreeMap::new() }
    }

    fn refresh_token(&mut self, grant: &Arc<Grant>, behaviour: &Behaviour) -> Secret {
        let token = self.token(grant, grant.scopes.clone(), TokenUse::Refresh { spent: false });
        self.tokens.keep(self.random, "sandbox_refresh_", token, behaviour.refresh_token_lifetime)
    }

    fn token(&self, grant: &Arc<Grant>, scopes: Vec<String>, used_as: TokenUse) -> Token {
        Token { grant: Arc::clone(grant), scopes, issued_at: self.clock.now(), used_as }
    }
}

impl Asked {
    /// Whether the code for this may be exchanged with what the client brings.
    fn allows(&self, with: &Redemption<'_>) -> Result<(), Refusal> {
        if self.client_id != with.client_id {
            return Err(Refusal::InvalidGrant("the code was issued to another client"));
        }
        if self.redirect_uri != with.redirect_uri {
            return Err(Refusal::InvalidGrant("redirect_uri is not the one of the authorization request"));
        }
        match (&self.code_challenge, with.code_verifier) {
            (None, None) => Ok(()),
            (Some(challenge), Some(verifier)) if is_verifier(verifier) && challenge_matches(challenge, verifier) => {
                Ok(())
            }
            (Some(_), Some(_)) => Err(Refusal::InvalidGrant("code_verifier does not match the code_challenge")),
            (Some(_), None) => Err(Refusal::InvalidGrant("code_verifier is missing")),
            (None, Some(_)) => Err(Refusal::InvalidGrant("a code_verifier without a code_challenge")),
        }
    }
}

impl Token {
    fn is_good(&self) -> bool {
        !self.grant.has_ended() && self.used_as != TokenUse::Refresh { spent: true }
    }
}

impl Grant {
    /// Counts a token that was sent to be revoked: how many were before it.
    pub(super) fn next_revocation(&self) -> usize {
        self.revocations.fetch_add(1, Ordering::SeqCst)
    }

    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

/// Whether this is a code verifier at all: 43 to 128 unreserved characters (RFC 7636 §4.1).
fn is_verifier(text: &str) -> bool {
    (43..=128).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._~".contains(&c))
}

/// S256 (RFC 7636 §4.6).
fn challenge_matches(challenge: &str, verifier: &str) -> bool {
    let made = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
    made.as_bytes().ct_eq(challenge.as_bytes()).into()
}
