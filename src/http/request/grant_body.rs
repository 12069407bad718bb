//! Body of a new grant.

use std::fmt::Display;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Schema, Type};

use super::create_body::of_types;
use crate::broker::{AllowTerms, Approval, EffectName, Error, HostPattern, MethodRule, NewGrant, PathPattern, Rate};
use crate::clock::UnixTime;
use crate::id::{ApiKeyId, CredentialId, ProviderName};

/// A new grant. An empty or absent list matches everything that the key may use. Unknown members are
/// refused: an ignored condition would let more through than was meant.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = CreateGrantRequest)]
pub(crate) struct GrantBody {
    /// Id of the API key.
    #[schema(value_type = String)]
    key: ApiKeyId,
    /// `allow`, or `deny`, which wins over every allow.
    effect: EffectName,
    /// Providers of the credential.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 100)]
    providers: Vec<ProviderName>,
    /// Ids of credentials.
    #[serde(default)]
    #[schema(value_type = Vec<String>, max_items = 100)]
    credentials: Vec<CredentialId>,
    /// Hosts: `name`, `name:port`, `*.name` or a URL.
    #[serde(default, deserialize_with = "each")]
    #[schema(value_type = Vec<String>, max_items = 100)]
    hosts: Vec<HostPattern>,
    /// Methods in upper case. `GET` covers `HEAD`.
    #[serde(default, deserialize_with = "each")]
    #[schema(value_type = Vec<String>, max_items = 100)]
    methods: Vec<MethodRule>,
    /// Patterns of the path: `*` within a segment, `**` for any number of segments.
    #[serde(default, deserialize_with = "each")]
    #[schema(value_type = Vec<String>, max_items = 100)]
    paths: Vec<PathPattern>,
    /// The most requests in a second, minute, hour or day, such as `60/m`. A deny has none.
    #[schema(value_type = Option<String>)]
    rate: Option<Parsed<Rate>>,
    /// Time from which on the grant allows nothing, in Unix seconds. A deny has none.
    #[schema(schema_with = expires)]
    expires: Option<UnixTime>,
    /// `always` if a person approves each request. A deny has none.
    #[serde(default)]
    #[schema(required = false)]
    approval: Approval,
}

impl TryFrom<GrantBody> for NewGrant {
    type Error = Error;

    fn try_from(body: GrantBody) -> Result<Self, Error> {
        let GrantBody { key, effect, providers, credentials, hosts, methods, paths, rate, expires, approval } = body;
        let effect = effect.with(AllowTerms { rate: rate.map(|rate| rate.0), expires, approval })?;
        Ok(Self { key, effect, providers, credentials, hosts, methods, paths })
    }
}

/// A value that is given as a text.
struct Parsed<T>(T);

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Parsed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(de::Error::custom)
    }
}

fn each<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Vec::<Parsed<T>>::deserialize(deserializer)?.into_iter().map(|item| item.0).collect())
}

fn expires() -> Schema {
    of_types(
        &[Type::Integer, Type::String, Type::Null],
        "Time from which on the grant allows nothing, in Unix seconds, as a number or as its decimal text.",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::request::json_body;

    const ID: &str = "0192d3f0-7c3a-7000-8000-00000000000f";

    fn faults(members: &Value) -> Vec<(Value, Value)> {
        let mut body = json!({"key": ID, "effect": "allow"});
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let Err(faults) = json_body::parse::<GrantBody>(None, body.to_string().as_bytes()) else { return Vec::new() };
        let faults = serde_json::to_value(faults).unwrap();
        faults.as_array().unwrap().iter().map(|fault| (fault["loc"].clone(), fault["msg"].clone())).collect()
    }

    #[test]
    fn every_condition_is_parsed() {
        let all = json!({
            "providers": ["github"], "credentials": [ID], "hosts": ["*.github.com"], "methods": ["GET", "POST"],
            "paths": ["/repos/**"], "rate": "60/m", "expires": "1900000000", "approval": "always",
        });
        assert_eq!(faults(&all), []);
        assert_eq!(faults(&json!({"rate": null, "expires": null})), []);
    }

    #[test]
    fn each_fault_is_at_its_item() {
        for (member, value, place) in [
            ("providers", json!(["github", "a b"]), json!(1)),
            ("credentials", json!(["x"]), json!(0)),
            ("hosts", json!(["a.example", "*"]), json!(1)),
            ("methods", json!(["get"]), json!(0)),
            ("paths", json!(["/a", "/b", "c"]), json!(2)),
        ] {
            let found = faults(&json!({member: value}));
            assert_eq!(found.len(), 1, "{member}: {found:?}");
            assert_eq!(found[0].0, json!(["body", member, place]));
        }
        for (member, value) in [("rate", "60"), ("approval", "sometimes"), ("effect", "alow"), ("key", "x")] {
            assert_eq!(faults(&json!({member: value}))[0].0, json!(["body", member]), "{member}");
        }
        let many = vec!["GET"; 101];
        assert_eq!(faults(&json!({"methods": many}))[0].0, json!(["body", "methods"]));
    }

    #[test]
    fn unknown_member_is_refused_with_the_nearest() {
        for (member, near) in [("path", "paths"), ("expires_at", "expires"), ("host", "hosts")] {
            let found = faults(&json!({member: ["/public/**"]}));
            assert_eq!(found[0].0, json!(["body", member]));
            let end = format!("; did you mean '{near}'?");
            assert!(found[0].1.as_str().unwrap().ends_with(&end), "{found:?}");
        }
        let found = faults(&json!({"effect": "alow"}));
        assert!(found[0].1.as_str().unwrap().contains("'allow', 'deny'"), "{found:?}");
    }
}
