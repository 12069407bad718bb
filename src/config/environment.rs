//! The environment: the one place where it is read, and a stand-in for tests.

use std::collections::BTreeMap;

/// The environment that settings and secrets are read from. Nothing is kept in memory until it is asked for.
#[derive(Clone, Default)]
pub struct Environment(Variables);

#[derive(Clone, Default)]
enum Variables {
    #[default]
    OfProcess,
    Given(BTreeMap<String, String>),
}

impl Environment {
    /// The environment that this process was started with.
    pub fn of_process() -> Self {
        Self(Variables::OfProcess)
    }

    /// These variables and no others.
    pub fn given<N: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(Variables::Given(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect()))
    }

    /// The value of a variable; `None` where it is not set or not UTF-8.
    #[expect(clippy::disallowed_methods, reason = "this is the one home of the environment")]
    pub fn get(&self, name: &str) -> Option<String> {
        match &self.0 {
            Variables::OfProcess => std::env::var(name).ok(),
            Variables::Given(variables) => variables.get(name).cloned(),
        }
    }

    /// The variables whose names begin with `prefix`, sorted by name.
    pub fn beginning_with(&self, prefix: &str) -> BTreeMap<String, String> {
        match &self.0 {
            Variables::OfProcess => std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .filter(|(name, _)| name.starts_with(prefix))
                .collect(),
            Variables::Given(variables) => {
                variables.iter().filter(|(n, _)| n.starts_with(prefix)).map(|(n, v)| (n.clone(), v.clone())).collect()
            }
        }
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Environment")
    }
}
