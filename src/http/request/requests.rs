//! The bodies of the contract: how each is read, and beside it what OpenAPI says of it.

use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::{RefOr, schema};

use serde_json::Value;

use super::fault::{Fault, Place};
use super::fields::{self, Object};
use super::json_body::FromBody;
use crate::broker::{
    self, CompleteRequest, CreateRequest, DeviceInitiateRequest, DevicePollRequest, InitiateRequest, NewSecret,
    ServiceRequest,
};
use crate::clock::UnixTime;
use crate::vault::{HostPattern, OwnClient, Renewal};

impl FromBody for InitiateRequest {
    fn schema() -> Option<(&'static str, RefOr<Schema>)> {
        let scopes = ArrayBuilder::new().items(text(""));
        let schema = ObjectBuilder::new()
            .property("callback_url", text("The redirect URI, sent exactly as given; its origin must be allowed."))
            .required("callback_url")
            .property("scopes", scopes.description(Some("The scopes to ask for; none means the provider's defaults.")))
            .property("state_metadata", any_object("Given back by complete. Never take the user from it."))
            .property(
                "inputs",
                texts_by_name("What the provider's URLs need to know, where it has `inputs`: a subdomain, say."),
            )
            .property(
                "further_scopes",
                lists_by_name("The scopes of further tokens (`further_tokens` in the entry), by name."),
            )
            .property("credential_id", optional("The credential to reconnect: it keeps its id."))
            .property("allow_account_change", flag("Whether that credential may become one of another account."));
        Some(("OAuthInitiateRequest", schema.into()))
    }

    fn read(body: &mut Object<'_>) -> Option<Self> {
        let callback_url = body.required("callback_url", fields::text);
        let scopes = body.or_empty("scopes", fields::texts);
        let state_metadata = body.or_empty("state_metadata", fields::object);
        let inputs = body.or_empty("inputs", fields::texts_by_name);
        let further_scopes = body.or_empty("further_scopes", fields::lists_by_name);
        let credential_id = body.optional("credential_id", fields::text);
        let allow_account_change = body.or_empty("allow_account_change", fields::flag);
        Some(Self {
            callback_url: callback_url?,
            scopes: scopes?,
            state_metadata: state_metadata?,
            inputs: inputs?,
            further_scopes: further_scopes?,
            credential_id: credential_id?,
            allow_account_change: allow_account_change?,
        })
    }
}

impl FromBody for CompleteRequest {
    fn schema() -> Option<(&'static str, RefOr<Schema>)> {
        let schema = ObjectBuilder::new()
            .property(
                "code",
                text("The authorization code. May be missing only where `callback_params` has an `error`."),
            )
            .property("state_token", text("The `state` that came back."))
            .required("state_token")
            .property(
                "callback_params",
                texts_by_name("The other query parameters of the callback: `iss`, `error`, …"),
            );
        Some(("OAuthCompleteRequest", schema.into()))
    }

    fn read(body: &mut Object<'_>) -> Option<Self> {
        let callback_params = body.optional("callback_params", fields::texts_by_name);
        let denied = matches!(&callback_params, Some(Some(params)) if params.contains_key("error"));
        let code =
            if denied { body.optional("code", fields::token) } else { body.required("code", fields::token).map(Some) };
        let state_token = body.required("state_token", fields::token);
        Some(Self { code: code?, state_token: state_token?, callback_params: callback_params? })
    }
}

impl FromBody for DeviceInitiateRequest {
    fn schema() -> Option<(&'static str, RefOr<Schema>)> {
        let scopes = ArrayBuilder::new().items(text(""));
        let schema = ObjectBuilder::new()
            .property("scopes", scopes.description(Some("The scopes to ask for; none means the provider's defaults.")))
            .property("state_metadata", any_object("Given back at the end. Never take the user from it."))
            .property("inputs", texts_by_name("What the provider's URLs need to know, where it has `inputs`."))
            .property(
                "further_scopes",
                lists_by_name("The scopes of further tokens (`further_tokens` in the entry), by name."),
            )
            .property("credential_id", optional("The credential to reconnect: it keeps its id."))
            .property("allow_account_change", flag("Whether that credential may become one of another account."));
        Some(("DeviceInitiateRequest", schema.into()))
    }

    fn read(body: &mut Object<'_>) -> Option<Self> {
        let scopes = body.or_empty("scopes", fields::texts);
        let state_metadata = body.or_empty("state_metadata", fields::object);
        let inputs = body.or_empty("inputs", fields::texts_by_name);
        let further_scopes = body.or_empty("further_scopes", fields::lists_by_name);
        let credential_id = body.optional("credential_id", fields::text);
        let allow_account_change = body.or_empty("allow_account_change", fields::flag);
        Some(Self {
            scopes: scopes?,
            state_metadata: state_metadata?,
            inputs: inputs?,
            further_scopes: further_scopes?,
            credential_id: credential_id?,
            allow_account_change: allow_account_change?,
        })
    }
}

impl FromBody for DevicePollRequest {
    fn schema() -> Option<(&'static str, RefOr<Schema>)> {
        let schema =
            ObjectBuilder::new().property("device_token", text("The token of initiate.")).required("device_token");
        Some(("DevicePollRequest", schema.into()))
    }

    fn read(body: &mut Object<'_>) -> Option<Self> {
        Some(Self { device_token: body.required("device_token", fields::token)? })
    }
}

/// The types under which a credential can be made: the kinds that are kept as they come, and what asks for tokens by itself.
const TYPES: [&str; 5] = ["api_key", "user_password", "host_scoped", "client_credentials", "service_account"];

/// The kinds of credential that a client can hand in.
pub(crate) const KINDS: [&str; 3] = ["api_key", "user_password", "host_scoped"];

impl FromBody for CreateRequest {
    fn schema() -> Option<(&'static str, RefOr<Schema>)> {
        let kind = |name: &str| {
            let tag = ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).enum_values(Some([name]));
            let title = text("What it is called; may be empty.");
            ObjectBuilder::new().property("type", tag).required("type").property("title", title).required("title")
        };
        let expires_at = ObjectBuilder::new()
            .schema_type(SchemaType::from_iter([Type::Integer, Type::String, Type::Null]))
            .description(Some("When it ends, in Unix seconds; as a number or as its decimal text."));
        let [api_key, user_password, host_scoped, client_credentials, service_account] = TYPES.map(kind);
        let one_of = OneOfBuilder::new()
            .item(api_key.property("api_key", secret()).required("api_key").property("expires_at", expires_at))
            .item(
                user_password
                    .property("username", secret())
                    .required("username")
                    .property("password", secret())
                    .required("password"),
            )
            .item(
                host_scoped
                    .property("host", text("A host, `host:port`, `*.host`, an address or a URL."))
                    .required("host")
                    .property("headers", texts_by_name("The headers to send, by name; each value is a secret."))
                    .required("headers"),
            )
            .item(
                client_credentials
                    .property(
                        "client_id",
                        optional("A client of the user's own; the configured one where there is none."),
                    )
                    .property("client_secret", secret())
                    .property("scopes", ArrayBuilder::new().items(text("")))
                    .property("inputs", texts_by_name("What the provider's URLs need to know, where it has `inputs`.")),
            )
            .item(
                service_account
                    .property(
                        "key",
                        ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::String, Type::Object])),
                    )
                    .required("key")
                    .property("issuer", optional("Who signs; a key file with `client_email` says it by itself."))
                    .property("subject", optional("In whose name."))
                    .property("scopes", ArrayBuilder::new().items(text("")))
                    .property("inputs", texts_by_name("What the provider's URLs need to know, where it has `inputs`.")),
            )
            .discriminator(Some(schema::Discriminator::new("type")));
        Some(("CreateCredentialRequest", Schema::OneOf(one_of.build()).into()))
    }

    fn read(body: &mut Object<'_>) -> Option<Self> {
        let kind = body.tag("type", &TYPES)?;
        let title = body.required("title", fields::text);
        let secret = match kind {
            "api_key" => {
                let api_key = body.required("api_key", fields::secret);
                let expires_at = body.optional("expires_at", fields::integer);
                NewSecret::ApiKey { api_key: api_key?, expires_at: expires_at?.map(UnixTime) }
            }
            "user_password" => {
                let username = body.required("username", fields::secret);
                let password = body.required("password", fields::secret);
                NewSecret::UserPassword { username: username?, password: password? }
            }
            "client_credentials" | "service_account" => NewSecret::Service(service(kind, body)?),
            _ => {
                let host = body.required("host", host);
                let headers = body.required("headers", fields::secret_headers);
                NewSecret::HostScoped { host: host?, headers: headers? }
            }
        };
        Some(Self { title: title?, secret })
    }
}

/// What asks for tokens by itself.
fn service(kind: &str, body: &mut Object<'_>) -> Option<ServiceRequest> {
    let scopes = body.or_empty("scopes", fields::texts);
    let inputs = body.or_empty("inputs", fields::texts_by_name);
    let renewal = if kind == "client_credentials" {
        let secret = body.optional("client_secret", fields::secret);
        let own = if body.has("client_id") || matches!(secret, Some(Some(_))) {
            Some(body.required("client_id", fields::text)?)
        } else {
            None
        };
        let secret = secret?;
        Some(Renewal::ClientCredentials { own: own.map(|id| OwnClient { id, secret }) })
    } else {
        let issuer = body.optional("issuer", fields::text);
        let subject = body.optional("subject", fields::text);
        let (issuer, subject) = (issuer?, subject?);
        let read = |key: Value, place: &Place, faults: &mut Vec<Fault>| {
            let account = broker::service_account(&key, issuer, subject);
            account.map_err(|fault| faults.push(Fault::value(place.clone(), &fault.to_string()))).ok()
        };
        body.required("key", read).map(Renewal::ServiceAccount)
    };
    Some(ServiceRequest { renewal: renewal?, scopes: scopes?, inputs: inputs? })
}

/// The host pattern of a `host_scoped` credential.
pub(crate) fn host(value: serde_json::Value, place: &Place, faults: &mut Vec<Fault>) -> Option<HostPattern> {
    let text = fields::text(value, place, faults)?;
    text.parse::<HostPattern>().map_err(|error| faults.push(Fault::value(place.clone(), &error.to_string()))).ok()
}

fn flag(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::Boolean)).description(Some(description))
}

fn text(description: &str) -> ObjectBuilder {
    let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
    if description.is_empty() { text } else { text.description(Some(description)) }
}

fn optional(description: &str) -> ObjectBuilder {
    text(description).schema_type(SchemaType::from_iter([Type::String, Type::Null]))
}

fn secret() -> ObjectBuilder {
    text("A secret: never shown again.").min_length(Some(1)).write_only(true)
}

fn any_object(description: &str) -> ObjectBuilder {
    let object = ObjectBuilder::new().additional_properties(Some(AdditionalProperties::FreeForm(true)));
    object.description(Some(description))
}

fn texts_by_name(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().additional_properties(Some(text(""))).description(Some(description))
}

fn lists_by_name(description: &str) -> ObjectBuilder {
    let lists = ArrayBuilder::new().items(text("")).build();
    ObjectBuilder::new().additional_properties(Some(Schema::Array(lists))).description(Some(description))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read<B: FromBody>(body: &Value) -> Result<B, Vec<(&'static str, Value)>> {
        let mut members = body.as_object().unwrap().clone();
        let mut faults = Vec::new();
        let body = B::read(&mut Object::new(&mut members, Place::body(), &mut faults));
        body.ok_or_else(|| faults.iter().map(|fault| (fault.kind, fault.to_json()["loc"].clone())).collect())
    }

    #[test]
    fn initiate_needs_a_callback_alone() {
        let request = read::<InitiateRequest>(&json!({"callback_url": "x", "unknown": 1})).unwrap();
        assert!(request.scopes.is_empty() && request.state_metadata.is_empty() && request.credential_id.is_none());
        let faults =
            read::<InitiateRequest>(&json!({"scopes": "x", "state_metadata": [], "credential_id": 1})).unwrap_err();
        let expected = [
            ("missing", json!(["body", "callback_url"])),
            ("list_type", json!(["body", "scopes"])),
            ("dict_type", json!(["body", "state_metadata"])),
            ("string_type", json!(["body", "credential_id"])),
        ];
        assert_eq!(faults, expected);
    }

    #[test]
    fn a_code_may_be_missing_only_where_the_callback_carried_an_error() {
        assert!(
            read::<CompleteRequest>(&json!({"state_token": "s", "callback_params": {"error": "access_denied"}}))
                .is_ok()
        );
        let faults = read::<CompleteRequest>(&json!({"callback_params": {"iss": "x"}})).unwrap_err();
        let expected = [("missing", json!(["body", "code"])), ("missing", json!(["body", "state_token"]))];
        assert_eq!(faults, expected);
    }

    #[test]
    fn a_credential_is_told_apart_by_its_type() {
        let faults = |body: &Value| read::<CreateRequest>(body).unwrap_err();
        assert_eq!(faults(&json!({"title": "x"})), [("union_tag_not_found", json!(["body"]))]);
        for tag in [json!("oauth2"), json!("API_KEY"), json!(null), json!(1), json!([])] {
            assert_eq!(faults(&json!({"type": tag, "title": "x"})), [("union_tag_invalid", json!(["body"]))]);
        }
        assert_eq!(
            faults(&json!({"type": "api_key"})),
            [("missing", json!(["body", "api_key", "title"])), ("missing", json!(["body", "api_key", "api_key"])),]
        );
        assert_eq!(
            faults(&json!({"type": "user_password", "title": "", "username": "", "password": 1})),
            [
                ("string_too_short", json!(["body", "user_password", "username"])),
                ("string_type", json!(["body", "user_password", "password"])),
            ]
        );
        assert_eq!(
            faults(&json!({"type": "host_scoped", "title": "", "host": "a b", "headers": {"A": ""}})),
            [
                ("value_error", json!(["body", "host_scoped", "host"])),
                ("string_too_short", json!(["body", "host_scoped", "headers", "A"])),
            ]
        );
    }

    #[test]
    fn good_credentials_of_each_type_are_taken() {
        for body in [
            json!({"type": "api_key", "title": "", "api_key": "k", "expires_at": "1800000000"}),
            json!({"type": "api_key", "title": "t", "api_key": "k", "expires_at": null}),
            json!({"type": "user_password", "title": "t", "username": "u", "password": "p"}),
            json!({"type": "host_scoped", "title": "t", "host": "*.example.com", "headers": {"X-Key": "k"}}),
        ] {
            assert!(read::<CreateRequest>(&body).is_ok(), "{body}");
        }
    }

    #[test]
    fn what_openapi_calls_required_is_what_is_missed() {
        fn required<B: FromBody>() -> Vec<Value> {
            let schema = serde_json::to_value(B::schema().unwrap().1).unwrap();
            schema["required"].as_array().unwrap().iter().map(|name| json!(["body", name])).collect()
        }
        let missed = |faults: Vec<(&str, Value)>| faults.into_iter().map(|(_, place)| place).collect::<Vec<_>>();
        assert_eq!(missed(read::<InitiateRequest>(&json!({})).unwrap_err()), required::<InitiateRequest>());
        let denied = json!({"callback_params": {"error": "x"}});
        assert_eq!(missed(read::<CompleteRequest>(&denied).unwrap_err()), required::<CompleteRequest>());
    }
}
