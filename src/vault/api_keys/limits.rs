//! The providers and credentials to which an API key is limited.

use crate::id::{CredentialId, ProviderName};

/// The providers and credentials that an API key may be used for. If both are limited, a credential
/// must be in both lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyLimits {
    providers: Vec<ProviderName>,
    credentials: Vec<CredentialId>,
}

/// A list of limits has too many entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an API key can be limited to at most {0} providers and {0} credentials")]
pub struct TooManyLimits(usize);

impl KeyLimits {
    /// Maximum length of each list. Every request reads the limits of its key.
    pub const MAX: usize = 100;

    /// Builds limits; an empty list does not limit.
    pub fn new(mut providers: Vec<ProviderName>, mut credentials: Vec<CredentialId>) -> Result<Self, TooManyLimits> {
        providers.sort_unstable();
        providers.dedup();
        credentials.sort_unstable();
        credentials.dedup();
        if providers.len().max(credentials.len()) > Self::MAX {
            return Err(TooManyLimits(Self::MAX));
        }
        Ok(Self { providers, credentials })
    }

    /// Returns the limits with other providers or credentials; `None` keeps a list.
    pub fn with(
        &self,
        providers: Option<Vec<ProviderName>>,
        credentials: Option<Vec<CredentialId>>,
    ) -> Result<Self, TooManyLimits> {
        let providers = providers.unwrap_or_else(|| self.providers.clone());
        Self::new(providers, credentials.unwrap_or_else(|| self.credentials.clone()))
    }

    /// Returns the providers; empty if all are allowed.
    pub fn providers(&self) -> &[ProviderName] {
        &self.providers
    }

    /// Returns the credentials; empty if all are allowed.
    pub fn credentials(&self) -> &[CredentialId] {
        &self.credentials
    }

    /// Returns true if nothing is limited.
    pub fn are_none(&self) -> bool {
        self.providers.is_empty() && self.credentials.is_empty()
    }

    /// Returns true if the key may be used at this provider. A text that is not a provider's name is
    /// in no list.
    pub fn allow_provider(&self, provider: &str) -> bool {
        self.providers.is_empty() || self.providers.iter().any(|allowed| allowed.as_str() == provider)
    }

    /// Returns true if the key may be used for this credential.
    pub fn allow(&self, provider: &ProviderName, credential: &CredentialId) -> bool {
        self.allow_provider(provider.as_str()) && (self.credentials.is_empty() || self.credentials.contains(credential))
    }

    /// Returns true if the key may be used for every credential of this provider, or of all
    /// providers, that exists or will exist.
    pub fn allow_all_of(&self, provider: Option<&ProviderName>) -> bool {
        self.credentials.is_empty()
            && provider.map_or(self.providers.is_empty(), |provider| self.allow_provider(provider.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROVIDERS: [&str; 4] = ["github", "gitlab", "openai", "smtp"];

    fn id(number: usize) -> CredentialId {
        format!("0192d3f0-7c3a-7000-8000-{number:012}").parse().unwrap()
    }

    fn limits(providers: &[usize], credentials: &[usize]) -> KeyLimits {
        let providers = providers.iter().map(|index| PROVIDERS[*index].parse().unwrap()).collect();
        KeyLimits::new(providers, credentials.iter().map(|number| id(*number)).collect()).unwrap()
    }

    /// Shortens a list, but not to the empty one; or adds the first limit.
    fn narrower(list: &[usize], by: usize) -> Vec<usize> {
        match list {
            [] => vec![by % 4],
            [one] => vec![*one],
            more => more.iter().enumerate().filter(|(index, _)| *index != by % more.len()).map(|(_, n)| *n).collect(),
        }
    }

    proptest! {
        #[test]
        fn narrowing_never_allows_more(
            providers in prop::collection::vec(0..4_usize, 0..4), credentials in prop::collection::vec(0..4_usize, 0..4),
            by in 0..4_usize, which in 0..2_u8,
        ) {
            let wide = limits(&providers, &credentials);
            let narrow = match which {
                0 => limits(&narrower(&providers, by), &credentials),
                _ => limits(&providers, &narrower(&credentials, by)),
            };
            for provider in PROVIDERS {
                prop_assert!(wide.allow_provider(provider) || !narrow.allow_provider(provider));
                let name = provider.parse().unwrap();
                for number in 0..4 {
                    prop_assert!(wide.allow(&name, &id(number)) || !narrow.allow(&name, &id(number)));
                    prop_assert!(narrow.allow(&name, &id(number)) || !narrow.allow_all_of(Some(&name)));
                }
                prop_assert!(wide.allow_all_of(Some(&name)) || !narrow.allow_all_of(Some(&name)));
            }
            prop_assert!(wide.allow_all_of(None) || !narrow.allow_all_of(None));
        }
    }

    #[test]
    fn both_limits_hold() {
        let limits = limits(&[0], &[1]);
        let [github, openai] = ["github", "openai"].map(|name| name.parse().unwrap());
        assert!(limits.allow(&github, &id(1)));
        assert!(!limits.allow(&github, &id(2)) && !limits.allow(&openai, &id(1)));
        assert!(KeyLimits::default().allow(&openai, &id(2)) && !limits.allow_provider("no name"));
    }

    #[test]
    fn number_of_limits_is_bounded() {
        let many = |count| KeyLimits::new(Vec::new(), (0..count).map(id).collect());
        assert!(many(KeyLimits::MAX).is_ok() && many(KeyLimits::MAX + 1).is_err());
    }
}
