//! Response that carries a secret, with one shape for each kind of credential.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema, SchemaType, Type,
};
use utoipa::{PartialSchema, ToSchema};

use crate::broker::LiveSecret;

/// Schema of the response of the token route.
pub(crate) struct SecretResponse;

impl ToSchema for SecretResponse {
    fn name() -> Cow<'static, str> {
        "LiveSecret".into()
    }
}

impl PartialSchema for SecretResponse {
    fn schema() -> RefOr<Schema> {
        let text = || ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
        let kind = |name: &str, members: &[&str]| {
            members.iter().fold(ObjectBuilder::new().description(Some(name)), |object, member| {
                let object = match *member {
                    "expires_at" => object.property(
                        "expires_at",
                        ObjectBuilder::new().schema_type(SchemaType::from_iter([Type::Integer, Type::Null])),
                    ),
                    "scopes" => object.property("scopes", ArrayBuilder::new().items(text())),
                    "headers" => object.property(
                        "headers",
                        ObjectBuilder::new().additional_properties(Some(AdditionalProperties::RefOr(text().into()))),
                    ),
                    other => object.property(other, text()),
                };
                object.required(*member)
            })
        };
        let one_of = OneOfBuilder::new()
            .item(kind("oauth2", &["access_token", "token_type", "expires_at", "scopes"]))
            .item(kind("api_key", &["api_key"]))
            .item(kind("user_password", &["username", "password"]))
            .item(kind("host_scoped", &["headers"]));
        Schema::OneOf(one_of.build()).into()
    }
}

/// Returns the body. This is the only place where a secret is written into JSON.
pub(crate) fn body(secret: &LiveSecret) -> impl Serialize + '_ {
    Body(secret)
}

struct Body<'s>(&'s LiveSecret);

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_map(None)?;
        match self.0 {
            LiveSecret::Token { access_token, token_type, expires_at, scopes } => {
                members.serialize_entry("access_token", access_token.expose())?;
                members.serialize_entry("token_type", token_type)?;
                members.serialize_entry("expires_at", expires_at)?;
                members.serialize_entry("scopes", scopes)?;
            }
            LiveSecret::ApiKey(key) => members.serialize_entry("api_key", key.expose())?,
            LiveSecret::UserPassword { username, password } => {
                members.serialize_entry("username", username.expose())?;
                members.serialize_entry("password", password.expose())?;
            }
            LiveSecret::Headers(headers) => {
                let headers: BTreeMap<&str, &str> =
                    headers.iter().map(|(name, value)| (name.as_str(), value.expose())).collect();
                members.serialize_entry("headers", &headers)?;
            }
        }
        members.end()
    }
}
