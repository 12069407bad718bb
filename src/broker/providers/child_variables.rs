//! Variables for a command of `strongroom run`, from the entries of its credentials.

use std::collections::BTreeMap;

use crate::broker::installation::Installation;
use crate::id::{CredentialId, ProviderName};

/// Variables for a command.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ChildVariables {
    /// The values.
    pub values: BTreeMap<String, String>,
    /// Variables that several credentials would set, with those credentials. They have no value.
    pub ambiguous: BTreeMap<String, Vec<CredentialId>>,
}

impl Installation {
    /// Returns the variables of these credentials. `url` is the URL of the path proxy, to which the
    /// id of a credential is added. If `first_wins`, the first of several credentials sets a
    /// variable.
    pub fn child_variables(
        &self,
        credentials: &[(CredentialId, ProviderName)],
        url: &str,
        first_wins: bool,
    ) -> ChildVariables {
        let mut found: BTreeMap<&str, Vec<(CredentialId, String)>> = BTreeMap::new();
        for (id, provider) in credentials {
            let Some(provider) = self.catalog.get(provider.as_str()) else { continue };
            let Some(placeholder) = provider.entry.placeholder_of(id) else { continue };
            for (name, template) in &provider.entry.env {
                let value = template.fill(&format!("{url}{id}"), &placeholder);
                found.entry(name).or_default().push((*id, value));
            }
        }
        let mut variables = ChildVariables::default();
        for (name, mut values) in found {
            if values.len() == 1 || first_wins {
                variables.values.insert(name.to_owned(), values.swap_remove(0).1);
            } else {
                variables.ambiguous.insert(name.to_owned(), values.into_iter().map(|(id, _)| id).collect());
            }
        }
        variables
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ClientSecrets, Environment, Sources};

    #[test]
    fn variables_are_those_of_the_entries() {
        let sources = Sources { environment: Environment::given::<&str, &str>([]), ..Sources::default() };
        let installation = Installation::load(&sources, ClientSecrets::Leave, false).unwrap();
        let id = |last: u8| format!("3f2b8c1e-0000-4000-8000-00000000000{last}").parse::<CredentialId>().unwrap();
        let of = |id, provider: &str| (id, provider.parse::<ProviderName>().unwrap());
        let credentials = [of(id(1), "openai"), of(id(2), "anthropic"), of(id(3), "spotify")];
        let made = installation.child_variables(&credentials, "http://127.0.0.1:1/v1/proxy/", false);
        assert_eq!(made.values["OPENAI_BASE_URL"], format!("http://127.0.0.1:1/v1/proxy/{}", id(1)));
        assert!(made.values["OPENAI_API_KEY"].starts_with("sk-proj-"));
        assert_eq!(
            made.values["ANTHROPIC_BASE_URL"],
            format!("http://127.0.0.1:1/v1/proxy/{}@api.anthropic.com", id(2))
        );
        assert!(made.ambiguous.is_empty());

        let two = [of(id(2), "openai"), of(id(1), "openai")];
        let made = installation.child_variables(&two, "", false);
        assert_eq!(made.ambiguous["OPENAI_API_KEY"], [id(2), id(1)]);
        assert!(made.values.is_empty());
        let made = installation.child_variables(&two, "", true);
        assert_eq!(made.values["OPENAI_BASE_URL"], id(2).to_string());
    }
}
