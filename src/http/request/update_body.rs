//! Body of an update: a new title, a new secret, or both.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use super::create_body::{Given, Headers, Host, of_types};
use crate::broker::{CredentialUpdate, NewExpiry, SecretUpdate};

/// A kind of credential that a client can hand in as it is.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KindTag {
    ApiKey,
    UserPassword,
    HostScoped,
}

/// A new title, a new secret of the kind that the credential is, or both. What is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self")]
#[schema(as = UpdateCredentialRequest, min_properties = 1)]
pub(crate) struct UpdateFields {
    /// The kind that the credential is. It never changes, so it need not be given.
    #[serde(default, rename = "type", deserialize_with = "given")]
    #[schema(schema_with = kind_tag, required = false)]
    kind: Option<KindTag>,
    /// The new title; may be empty.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    title: Option<String>,
    /// A new API key. It is never shown again.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, min_length = 1, write_only)]
    api_key: Option<Given>,
    /// The end of the key's life in Unix seconds; null if no end is known, which also holds for a
    /// new key without it.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = expiry, required = false)]
    expires_at: Option<NewExpiry>,
    /// A new user name. It is never shown again.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, min_length = 1, write_only)]
    username: Option<Given>,
    /// A new password. It is never shown again.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false, min_length = 1, write_only)]
    password: Option<Given>,
    /// A host, `host:port`, `*.host`, an address or a URL.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = String, required = false)]
    host: Option<Host>,
    /// All headers of a host_scoped credential, by name. Each value is a secret.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = BTreeMap<String, String>, required = false)]
    headers: Option<Headers>,
    /// All values that the provider's base URL needs; only beside a new secret, so that no other
    /// host gets the stored one.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = BTreeMap<String, String>, required = false)]
    inputs: Option<BTreeMap<String, String>>,
    /// `false`: the secret is never given out again. It cannot become true again.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    exportable: Option<bool>,
}

impl UpdateFields {
    /// The kind that the fields belong to: the one that is named, else the first of which a member
    /// is given.
    fn kind(&self) -> Option<KindTag> {
        self.kind.or_else(|| {
            [KindTag::ApiKey, KindTag::UserPassword, KindTag::HostScoped].into_iter().find(|kind| self.has(*kind))
        })
    }

    fn has(&self, kind: KindTag) -> bool {
        match kind {
            KindTag::ApiKey => self.api_key.is_some() || self.expires_at.is_some(),
            KindTag::UserPassword => self.username.is_some() || self.password.is_some(),
            KindTag::HostScoped => self.host.is_some() || self.headers.is_some(),
        }
    }

    /// Returns the member that is missing. A new destination needs the secret too: otherwise a
    /// caller who cannot read the stored one could have it sent to another host.
    fn missing_beside_destination(&self) -> Option<&'static str> {
        match self.kind() {
            Some(KindTag::HostScoped) if self.host.is_some() && self.headers.is_none() => Some("headers"),
            Some(KindTag::ApiKey) if self.inputs.is_some() && self.api_key.is_none() => Some("api_key"),
            Some(KindTag::UserPassword) if self.inputs.is_some() && self.username.is_none() => Some("username"),
            Some(KindTag::UserPassword) if self.inputs.is_some() && self.password.is_none() => Some("password"),
            None if self.inputs.is_some() => Some("one of api_key, username and password"),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for UpdateFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = Self::deserialize(deserializer)?;
        if let Some(missing) = fields.missing_beside_destination() {
            return Err(de::Error::missing_field(missing));
        }
        let changes_more = fields.title.is_some() || fields.exportable.is_some();
        if changes_more || fields.kind().is_some_and(|kind| fields.has(kind)) {
            return Ok(fields);
        }
        Err(match fields.kind {
            Some(_) => de::Error::missing_field("one of title, exportable or a new secret"),
            None => de::Error::missing_field("one of title, api_key, username, password, host, headers, exportable"),
        })
    }
}

/// The body of an update. With a `type`, that tag is part of every path, as it is at create.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum UpdateBody {
    #[serde(rename = "")]
    Untagged(UpdateFields),
    ApiKey(UpdateFields),
    UserPassword(UpdateFields),
    HostScoped(UpdateFields),
}

impl ToSchema for UpdateBody {
    fn name() -> std::borrow::Cow<'static, str> {
        UpdateFields::name()
    }
}

impl PartialSchema for UpdateBody {
    fn schema() -> RefOr<Schema> {
        UpdateFields::schema()
    }
}

impl From<UpdateBody> for CredentialUpdate {
    fn from(body: UpdateBody) -> Self {
        let (UpdateBody::Untagged(fields)
        | UpdateBody::ApiKey(fields)
        | UpdateBody::UserPassword(fields)
        | UpdateBody::HostScoped(fields)) = body;
        let own = |given: Option<Given>| given.map(|secret| secret.0);
        let secret = fields.kind().map(|kind| match kind {
            KindTag::ApiKey => {
                let (api_key, expires_at) = (own(fields.api_key), fields.expires_at);
                SecretUpdate::ApiKey { api_key, expires_at, inputs: fields.inputs }
            }
            KindTag::UserPassword => {
                let (username, password) = (own(fields.username), own(fields.password));
                SecretUpdate::UserPassword { username, password, inputs: fields.inputs }
            }
            KindTag::HostScoped => SecretUpdate::HostScoped {
                host: fields.host.map(|host| host.0),
                headers: fields.headers.map(|headers| headers.0),
            },
        });
        Self { title: fields.title, secret, exportable: fields.exportable }
    }
}

/// Reads a member that may be absent, but not null.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn kind_tag() -> Schema {
    let words = "The kind that the credential is. It never changes, so it need not be given.";
    let kinds = ["api_key", "user_password", "host_scoped"];
    let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
    Schema::Object(text.enum_values(Some(kinds)).description(Some(words)).build())
}

fn expiry() -> Schema {
    let words = "The end of the key's life in Unix seconds; null if no end is known, which also holds for a new key without it.";
    of_types(&[Type::Integer, Type::String, Type::Null], words)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::request::json_body::parse;

    fn faults(body: &Value) -> Vec<(&'static str, Value)> {
        let faults = parse::<UpdateBody>(None, body.to_string().as_bytes()).err().unwrap_or_default();
        faults.into_iter().map(|fault| (fault.kind, Value::from(fault.loc))).collect()
    }

    #[test]
    fn an_update_has_a_title_a_secret_or_both() {
        for body in [
            json!({"title": ""}),
            json!({"api_key": "k"}),
            json!({"type": "api_key", "api_key": "k", "title": "t"}),
            json!({"expires_at": 5}),
            json!({"expires_at": null}),
            json!({"username": "u"}),
            json!({"password": "p", "title": "t"}),
            json!({"exportable": false}),
            json!({"host": "a.example", "headers": {"A": "b"}}),
            json!({"api_key": "k", "inputs": {"a": "b"}}),
            json!({"username": "u", "password": "p", "inputs": {}}),
            json!({"type": "host_scoped", "headers": {"A": "b"}}),
        ] {
            assert_eq!(faults(&body), [], "{body}");
        }
    }

    #[test]
    fn new_destination_comes_with_the_secret() {
        for (body, missing) in [
            (json!({"host": "a.example"}), json!(["body", "headers"])),
            (json!({"host": "a.example", "title": "t"}), json!(["body", "headers"])),
            (json!({"type": "host_scoped", "host": "a.example"}), json!(["body", "host_scoped", "headers"])),
            (json!({"type": "api_key", "inputs": {"a": "b"}}), json!(["body", "api_key", "api_key"])),
            (json!({"expires_at": 5, "inputs": {"a": "b"}}), json!(["body", "api_key"])),
            (json!({"username": "u", "inputs": {"a": "b"}}), json!(["body", "password"])),
            (json!({"password": "p", "inputs": {"a": "b"}}), json!(["body", "username"])),
        ] {
            assert_eq!(faults(&body), [("missing", missing)], "{body}");
        }
        for body in [json!({"inputs": {"a": "b"}}), json!({"inputs": {}, "title": "t", "exportable": false})] {
            assert_eq!(faults(&body).len(), 1, "{body}");
        }
    }

    #[test]
    fn every_fault_of_an_update_is_named() {
        assert_eq!(faults(&json!({})), [("missing", json!(["body"]))]);
        assert_eq!(faults(&json!({"type": "api_key"})), [("missing", json!(["body", "api_key"]))]);
        assert_eq!(faults(&json!({"type": "oauth2", "title": "t"})), [("union_tag_invalid", json!(["body"]))]);
        assert_eq!(faults(&json!({"title": null})), [("string_type", json!(["body", "title"]))]);
        assert_eq!(
            faults(&json!({"title": 1, "api_key": "", "expires_at": "x"})),
            [
                ("string_type", json!(["body", "title"])),
                ("string_too_short", json!(["body", "api_key"])),
                ("int_parsing", json!(["body", "expires_at"])),
            ]
        );
        assert_eq!(
            faults(&json!({"type": "host_scoped", "host": "a b", "headers": {}})),
            [
                ("value_error", json!(["body", "host_scoped", "host"])),
                ("too_short", json!(["body", "host_scoped", "headers"]))
            ]
        );
    }
}
