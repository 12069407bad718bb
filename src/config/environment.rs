//! The process environment. Nothing else in the program reads it; tests pass variables of their
//! own.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// The environment that settings and secrets are read from: given variables, or those of the
/// process. A variable of the process is read when it is needed.
#[derive(Clone, Default)]
pub struct Environment(Option<BTreeMap<String, String>>);

impl Environment {
    /// Uses the environment of this process.
    pub fn of_process() -> Self {
        Self(None)
    }

    /// Uses these variables and no others.
    pub fn given<N: Into<String>, V: Into<String>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(Some(variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect()))
    }

    /// Returns the value of a variable; `None` if it is not set or not UTF-8.
    #[expect(clippy::disallowed_methods, reason = "only this module reads the environment")]
    pub fn get(&self, name: &str) -> Option<String> {
        match &self.0 {
            None => std::env::var(name).ok(),
            Some(variables) => variables.get(name).cloned(),
        }
    }

    /// Returns the names of all variables that begin with `prefix`, also of those whose values are not
    /// UTF-8.
    pub fn names_beginning_with(&self, prefix: &str) -> Vec<OsString> {
        let begins = |name: &OsString| name.as_encoded_bytes().starts_with(prefix.as_bytes());
        match &self.0 {
            None => std::env::vars_os().map(|(name, _)| name).filter(begins).collect(),
            Some(variables) => variables.keys().map(OsString::from).filter(begins).collect(),
        }
    }

    /// Returns the variables whose names begin with `prefix`, sorted by name.
    pub fn beginning_with(&self, prefix: &str) -> BTreeMap<String, String> {
        match &self.0 {
            None => std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .filter(|(name, _)| name.starts_with(prefix))
                .collect(),
            Some(variables) => {
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
