//! The body of a PATCH: a new title, a new secret of the kind that the credential is, or both. What is absent stays.

use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, SchemaType, Type};

use super::fields::{self, Object};
use super::json_body::FromBody;
use super::requests::{KINDS, host};
use crate::clock::UnixTime;
use crate::vault::{CredentialUpdate, SecretUpdate};

/// What each kind is known by where `type` is not given.
const MEMBERS: [(&str, &[&str]); 3] = [
    ("api_key", &["api_key", "expires_at"]),
    ("user_password", &["username", "password"]),
    ("host_scoped", &["host", "headers"]),
];

impl FromBody for CredentialUpdate {
    fn schema() -> Option<(&'static str, RefOr<Schema>)> {
        let text = |description: &str| {
            ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).description(Some(description))
        };
        let secret = || text("A new secret: never shown again.").min_length(Some(1)).write_only(true);
        let kind = text("The kind that the credential is. It never changes, so it need not be given.");
        let expires_at = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Integer, Type::String]))
            .description(Some("When an API key ends. A new key without it ends at no known time."));
        let headers = ObjectBuilder::new()
            .additional_properties(Some(AdditionalProperties::RefOr(secret().into())))
            .description(Some("All headers of a host_scoped credential."));
        let schema = ObjectBuilder::new()
            .property("type", kind.enum_values(Some(KINDS)))
            .property("title", text("The new title; may be empty."))
            .property("api_key", secret())
            .property("expires_at", expires_at)
            .property("username", secret())
            .property("password", secret())
            .property("host", text("A host, `host:port`, `*.host`, an address or a URL."))
            .property("headers", headers);
        Some(("UpdateCredentialRequest", schema.into()))
    }

    fn read(body: &mut Object<'_>) -> Option<Self> {
        let title = body.given("title", fields::text);
        let named = if body.has("type") { Some(body.tag("type", &KINDS)?) } else { None };
        let there = |kind: &str, body: &Object<'_>| {
            MEMBERS.iter().any(|(name, members)| *name == kind && members.iter().any(|member| body.has(member)))
        };
        let Some(kind) = named.or_else(|| KINDS.into_iter().find(|kind| there(kind, body))) else {
            if matches!(title, Some(None)) {
                body.nothing_given("title, api_key, username, password, host, headers");
            }
            return Some(Self { title: Some(title??), secret: None });
        };
        if matches!(title, Some(None)) && !there(kind, body) {
            body.nothing_given("title or a new secret");
        }
        // A type that is named is held against the credential even where nothing new of the secret is there.
        let secret = secret(kind, body);
        Some(Self { title: title?, secret: Some(secret?) })
    }
}

fn secret(kind: &str, body: &mut Object<'_>) -> Option<SecretUpdate> {
    Some(match kind {
        "api_key" => {
            let api_key = body.given("api_key", fields::secret);
            let expires_at = body.given("expires_at", fields::integer);
            SecretUpdate::ApiKey { api_key: api_key?, expires_at: expires_at?.map(UnixTime) }
        }
        "user_password" => {
            let username = body.given("username", fields::secret);
            let password = body.given("password", fields::secret);
            SecretUpdate::UserPassword { username: username?, password: password? }
        }
        _ => {
            let host = body.given("host", host);
            let headers = body.given("headers", fields::secret_headers);
            SecretUpdate::HostScoped { host: host?, headers: headers? }
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::fault::Place;
    use super::*;

    fn faults(body: &Value) -> Vec<(&'static str, Value)> {
        let (mut members, mut faults) = (body.as_object().unwrap().clone(), Vec::new());
        let _ = CredentialUpdate::read(&mut Object::new(&mut members, Place::body(), &mut faults));
        faults.iter().map(|fault| (fault.kind, fault.to_json()["loc"].clone())).collect()
    }

    #[test]
    fn a_title_a_secret_or_both_are_taken() {
        for body in [
            json!({"title": ""}),
            json!({"api_key": "k"}),
            json!({"type": "api_key", "api_key": "k", "title": "t"}),
            json!({"expires_at": 5}),
            json!({"username": "u"}),
            json!({"password": "p", "title": "t"}),
            json!({"host": "a.example"}),
            json!({"type": "host_scoped", "headers": {"A": "b"}}),
        ] {
            assert_eq!(faults(&body), [], "{body}");
        }
    }

    #[test]
    fn every_fault_is_named_in_the_words_of_the_original() {
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
