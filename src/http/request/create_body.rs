//! Body of a create. Each type is what serde reads and what OpenAPI shows; it becomes the request
//! of the use case.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Deserializer, de};
use serde_json::Value;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{Discriminator, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::broker::{
    self, CreateRequest, CredentialSecret, GivenSecret, HostPattern, NewSecret, OwnClient, Renewal, ServiceRequest,
};
use crate::clock::UnixTime;
use crate::secret::Secret;
use crate::validation;

/// A new credential, told apart by `type`.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CreateBody {
    ApiKey(ApiKeyBody),
    UserPassword(UserPasswordBody),
    HostScoped(HostScopedBody),
    ClientCredentials(ClientCredentialsBody),
    ServiceAccount(ServiceAccountBody),
}

impl ToSchema for CreateBody {
    fn name() -> std::borrow::Cow<'static, str> {
        "CreateCredentialRequest".into()
    }
}

impl PartialSchema for CreateBody {
    fn schema() -> RefOr<Schema> {
        let variants = [
            ("api_key", "CreateApiKey", ApiKeyBody::schema()),
            ("user_password", "CreateUserPassword", UserPasswordBody::schema()),
            ("host_scoped", "CreateHostScoped", HostScopedBody::schema()),
            ("client_credentials", "CreateClientCredentials", ClientCredentialsBody::schema()),
            ("service_account", "CreateServiceAccount", ServiceAccountFields::schema()),
        ];
        let mut one_of = OneOfBuilder::new().discriminator(Some(Discriminator::new("type")));
        for (tag, name, schema) in variants {
            let RefOr::T(Schema::Object(variant)) = schema else { continue };
            let tag = ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).enum_values(Some([tag]));
            let variant = ObjectBuilder::from(variant).title(Some(name)).property("type", tag).required("type");
            one_of = one_of.item(variant);
        }
        Schema::OneOf(one_of.build()).into()
    }
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct ApiKeyBody {
    /// The title; may be empty.
    title: String,
    /// The key. It is never shown again.
    #[schema(value_type = String, min_length = 1, write_only)]
    api_key: Given,
    /// The end of the key's life in Unix seconds, as a number or as its decimal text.
    #[schema(schema_with = expiry)]
    expires_at: Option<UnixTime>,
    /// The values that the provider's base URL needs, if its entry has `inputs` for API keys.
    #[serde(default)]
    inputs: BTreeMap<String, String>,
    /// `false`: the key is never given out again.
    exportable: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct UserPasswordBody {
    /// The title; may be empty.
    title: String,
    /// The user name. It is never shown again.
    #[schema(value_type = String, min_length = 1, write_only)]
    username: Given,
    /// The password. It is never shown again.
    #[schema(value_type = String, min_length = 1, write_only)]
    password: Given,
    /// The values that the provider's base URL needs, if its entry has `inputs` for passwords.
    #[serde(default)]
    inputs: BTreeMap<String, String>,
    /// `false`: user name and password are never given out again.
    exportable: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct HostScopedBody {
    /// The title; may be empty.
    title: String,
    /// A host, `host:port`, `*.host`, an address or a URL.
    #[schema(value_type = String)]
    host: Host,
    /// The headers to send, by name. Each value is a secret.
    #[schema(value_type = BTreeMap<String, String>)]
    headers: Headers,
    /// `false`: the headers are never given out again.
    exportable: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(remote = "Self")]
pub(crate) struct ClientCredentialsBody {
    /// The title; may be empty.
    title: String,
    /// The id of the user's own client; without it, the configured client is used.
    client_id: Option<String>,
    /// The secret of that client. It is never shown again.
    #[schema(value_type = Option<String>, min_length = 1, write_only)]
    client_secret: Option<Given>,
    /// The scopes to ask for.
    #[serde(default)]
    scopes: Vec<String>,
    /// The values that the provider's URLs need, if its entry has `inputs`.
    #[serde(default)]
    inputs: BTreeMap<String, String>,
    /// `false`: the tokens are never given out.
    exportable: Option<bool>,
}

impl<'de> Deserialize<'de> for ClientCredentialsBody {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let body = Self::deserialize(deserializer)?;
        if body.client_secret.is_some() && body.client_id.is_none() {
            return Err(de::Error::missing_field("client_id"));
        }
        Ok(body)
    }
}

#[derive(Deserialize, ToSchema)]
struct ServiceAccountFields {
    /// The title; may be empty.
    title: String,
    /// The account's private key in PEM, or the JSON key file of the provider, as an object or as
    /// its text.
    #[schema(schema_with = service_key)]
    key: Value,
    /// The issuer of the assertion. A key file with `client_email` names it.
    issuer: Option<String>,
    /// The user for whom the account acts.
    subject: Option<String>,
    /// The scopes to ask for.
    #[serde(default)]
    scopes: Vec<String>,
    /// The values that the provider's URLs need, if its entry has `inputs`.
    #[serde(default)]
    inputs: BTreeMap<String, String>,
    /// `false`: the tokens are never given out.
    exportable: Option<bool>,
}

#[derive(Deserialize)]
#[serde(try_from = "ServiceAccountFields")]
pub(crate) struct ServiceAccountBody(CreateRequest);

impl TryFrom<ServiceAccountFields> for ServiceAccountBody {
    type Error = String;

    fn try_from(mut fields: ServiceAccountFields) -> Result<Self, String> {
        let account = broker::service_account(&fields.key, fields.issuer, fields.subject);
        validation::wipe(&mut fields.key);
        let account = account.map_err(|fault| validation::at("key", &fault))?;
        let renewal = Renewal::ServiceAccount(account);
        let request = ServiceRequest { renewal, scopes: fields.scopes, inputs: fields.inputs };
        let (title, exportable) = (fields.title, fields.exportable);
        Ok(Self(CreateRequest { title, secret: NewSecret::Service(request), exportable }))
    }
}

impl CreateBody {
    /// Returns true if the provider is asked for a token before the credential is stored.
    pub(crate) fn sends(&self) -> bool {
        matches!(self, Self::ClientCredentials(_) | Self::ServiceAccount(_))
    }
}

impl From<CreateBody> for CreateRequest {
    fn from(body: CreateBody) -> Self {
        let given = |secret, expires_at, inputs| NewSecret::Given(GivenSecret { secret, expires_at, inputs });
        match body {
            CreateBody::ApiKey(ApiKeyBody { title, api_key, expires_at, inputs, exportable }) => {
                Self { title, secret: given(CredentialSecret::ApiKey(api_key.0), expires_at, inputs), exportable }
            }
            CreateBody::UserPassword(UserPasswordBody { title, username, password, inputs, exportable }) => {
                let secret = CredentialSecret::UserPassword { username: username.0, password: password.0 };
                Self { title, secret: given(secret, None, inputs), exportable }
            }
            CreateBody::HostScoped(HostScopedBody {
                title,
                host: Host(host),
                headers: Headers(headers),
                exportable,
            }) => Self {
                title,
                secret: given(CredentialSecret::HostScoped { host, headers }, None, BTreeMap::new()),
                exportable,
            },
            CreateBody::ClientCredentials(body) => {
                let own = body.client_id.map(|id| OwnClient { id, secret: body.client_secret.map(|secret| secret.0) });
                let renewal = Renewal::ClientCredentials { own };
                let request = ServiceRequest { renewal, scopes: body.scopes, inputs: body.inputs };
                Self { title: body.title, secret: NewSecret::Service(request), exportable: body.exportable }
            }
            CreateBody::ServiceAccount(ServiceAccountBody(request)) => request,
        }
    }
}

/// A secret that is not blank, without the line ends that come with a pasted or saved text.
pub(super) struct Given(pub(super) Secret);

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let secret = Secret::deserialize(deserializer)?;
        Secret::trimmed(secret.expose()).map(Self).ok_or_else(|| de::Error::invalid_length(0, &"a secret"))
    }
}

/// The host of a host-scoped credential.
pub(super) struct Host(pub(super) HostPattern);

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map(Self).map_err(de::Error::custom)
    }
}

/// The headers of a host-scoped credential: at least one, each with a name and a value that HTTP
/// can carry (RFC 9110 §5).
pub(super) struct Headers(pub(super) BTreeMap<String, Secret>);

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let headers = BTreeMap::<Name, Text>::deserialize(deserializer)?;
        if headers.is_empty() {
            return Err(de::Error::invalid_length(0, &"at least one header"));
        }
        Ok(Self(headers.into_iter().map(|(name, text)| (name.0, text.0)).collect()))
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Name(String);

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        HeaderName::try_from(&name).map_err(|_| de::Error::custom("this is not the name of a header"))?;
        Ok(Self(name))
    }
}

struct Text(Secret);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Given(text) = Given::deserialize(deserializer)?;
        HeaderValue::from_str(text.expose()).map_err(|_| de::Error::custom("a header cannot carry this value"))?;
        Ok(Self(text))
    }
}

fn expiry() -> Schema {
    of_types(
        &[Type::Integer, Type::String, Type::Null],
        "The end of the key's life in Unix seconds, as a number or as its decimal text.",
    )
}

fn service_key() -> Schema {
    let words = "The account's private key in PEM, or the provider's JSON key file, as an object or as its text.";
    of_types(&[Type::String, Type::Object], words)
}

/// Describes a member that may have several types. Generators of clients need a schema for each.
pub(super) fn of_types(types: &[Type], words: &str) -> Schema {
    let of = |kind: &Type| ObjectBuilder::new().schema_type(SchemaType::new(kind.clone()));
    let one_of = types.iter().fold(OneOfBuilder::new(), |one_of, kind| one_of.item(of(kind)));
    Schema::OneOf(one_of.description(Some(words)).build())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::broker::{CompleteRequest, InitiateRequest};
    use crate::http::request::json_body::{FromBody, parse};

    fn faults<B: FromBody>(body: &Value) -> Vec<(&'static str, Value)> {
        let faults = parse::<B>(None, body.to_string().as_bytes()).err().unwrap_or_default();
        faults.into_iter().map(|fault| (fault.kind, Value::from(fault.loc))).collect()
    }

    #[test]
    fn initiate_requires_the_callback_alone() {
        let body = json!({"callback_url": "x", "unknown": 1});
        let request = parse::<InitiateRequest>(None, body.to_string().as_bytes()).unwrap();
        assert!(request.scopes.is_empty() && request.state_metadata.is_empty() && request.credential_id.is_none());
        let expected = [
            ("missing", json!(["body", "callback_url"])),
            ("list_type", json!(["body", "scopes"])),
            ("dict_type", json!(["body", "state_metadata"])),
            ("string_type", json!(["body", "credential_id"])),
        ];
        let body = json!({"scopes": "x", "state_metadata": [], "credential_id": 1});
        assert_eq!(faults::<InitiateRequest>(&body), expected);
    }

    #[test]
    fn a_code_may_be_missing_if_the_callback_has_an_error() {
        let denied = json!({"state_token": "s", "callback_params": {"error": "access_denied"}});
        assert_eq!(faults::<CompleteRequest>(&denied), []);
        let expected = [("missing", json!(["body", "code"])), ("missing", json!(["body", "state_token"]))];
        assert_eq!(faults::<CompleteRequest>(&json!({"callback_params": {"iss": "x"}})), expected);
    }

    #[test]
    fn a_new_credential_is_told_apart_by_its_type() {
        let faults = faults::<CreateBody>;
        assert_eq!(faults(&json!({"title": "x"})), [("union_tag_not_found", json!(["body"]))]);
        assert_eq!(faults(&json!("api_key")), [("model_attributes_type", json!(["body"]))]);
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
        assert_eq!(
            faults(&json!({"type": "client_credentials", "title": "t", "client_secret": "s"})),
            [("missing", json!(["body", "client_credentials", "client_id"]))]
        );
    }

    #[test]
    fn headers_are_such_as_http_can_carry() {
        let body =
            |headers: Value| json!({"type": "host_scoped", "title": "", "host": "a.example", "headers": headers});
        assert_eq!(faults::<CreateBody>(&body(json!({"Authorization": "Bearer x"}))), []);
        for headers in [json!({}), json!({"A": ""}), json!({"A B": "x"}), json!({"": "x"}), json!({"A": "x\r\nB: y"})] {
            assert_eq!(faults::<CreateBody>(&body(headers.clone())).len(), 1, "{headers}");
        }
    }

    #[test]
    fn good_credentials_of_each_type_are_accepted() {
        for body in [
            json!({"type": "api_key", "title": "", "api_key": "k", "expires_at": "1800000000"}),
            json!({"type": "api_key", "title": "t", "api_key": "k", "expires_at": null}),
            json!({"type": "user_password", "title": "t", "username": "u", "password": "p"}),
            json!({"type": "host_scoped", "title": "t", "host": "*.example.com", "headers": {"X-Key": "k"}}),
        ] {
            assert_eq!(faults::<CreateBody>(&body), [], "{body}");
        }
    }

    #[test]
    fn openapi_requires_exactly_what_is_missed() {
        fn required<B: FromBody>() -> Vec<Value> {
            let schema = serde_json::to_value(B::schema().unwrap().1).unwrap();
            schema["required"].as_array().unwrap().iter().map(|name| json!(["body", name])).collect()
        }
        let missed = |faults: Vec<(&str, Value)>| faults.into_iter().map(|(_, place)| place).collect::<Vec<_>>();
        assert_eq!(missed(faults::<InitiateRequest>(&json!({}))), required::<InitiateRequest>());
        let denied = json!({"callback_params": {"error": "x"}});
        assert_eq!(missed(faults::<CompleteRequest>(&denied)), required::<CompleteRequest>());
    }
}
