//! OpenAPI 3.1 description of the API, written from the route table and the types that it serves.

use std::collections::BTreeMap;

use http::Method;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathsBuilder, Ref, RefOr,
    Required, ResponseBuilder, SecurityRequirement, ServerBuilder,
};

use super::load_shed::Cost;
use super::problem;
use super::request::path_params;
use super::routes::route::{Route, Shapes};

const KEY_HEADER: &str = "apiKey";
const BEARER: &str = "bearer";

/// Describes these routes. `base_path` is the prefix of every path.
pub(crate) fn describe(routes: &[&Route], base_path: &str) -> OpenApi {
    let mut schemas: BTreeMap<String, RefOr<Schema>> = BTreeMap::new();
    schemas.insert("Problem".to_owned(), problem_schema());
    schemas.insert("Faults".to_owned(), faults_schema());
    schemas.insert("NotConfigured".to_owned(), not_configured_schema());
    let mut paths = PathsBuilder::new();
    for route in routes {
        let mut shapes = (route.shapes)();
        schemas.extend(std::mem::take(&mut shapes.components));
        if let Some((name, schema)) = &shapes.request {
            schemas.insert((*name).to_owned(), schema.clone());
        }
        let item = utoipa::openapi::path::PathItem::new(method(&route.method), operation(route, &shapes));
        paths = paths.path(route.pattern, item);
    }
    let key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key")));
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme(KEY_HEADER, key)
        .security_scheme(BEARER, bearer)
        .build();
    let info = InfoBuilder::new()
        .title("Strongroom")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(env!("CARGO_PKG_DESCRIPTION")))
        .license(Some(LicenseBuilder::new().name(env!("CARGO_PKG_LICENSE")).build()));
    let server = ServerBuilder::new().url(if base_path.is_empty() { "/" } else { base_path }).build();
    OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([server]))
        .paths(paths.build())
        .components(Some(components))
        .build()
}

fn method(method: &Method) -> HttpMethod {
    match method.as_str() {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn operation(route: &Route, shapes: &Shapes) -> Operation {
    let mut operation = OperationBuilder::new().summary(Some(route.summary)).operation_id(Some(operation_id(route)));
    for name in path_params::names(route.pattern) {
        let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String));
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path).required(Required::True);
        operation = operation.parameter(parameter.schema(Some(text)).build());
    }
    if let Some((name, _)) = &shapes.request {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(*name))).build();
        let body = RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True));
        operation = operation.request_body(Some(body.build()));
    }
    if let Some(permission) = route.permission {
        let none: [&str; 0] = [];
        operation = operation
            .tag("integrations")
            .description(Some(format!("Needs the permission `{}`.", permission.name())))
            .parameter(user_header())
            .security(SecurityRequirement::new(KEY_HEADER, none))
            .security(SecurityRequirement::new(BEARER, none));
    } else {
        operation = operation.tag("server");
    }
    if takes_a_page(route, shapes) {
        operation = page_parameters().into_iter().fold(operation, OperationBuilder::parameter);
    }
    if route.pattern.ends_with("/token") {
        let description = "Minimum remaining lifetime of the token in seconds; 300 by default.";
        operation = operation.parameter(parameter("min_ttl", Type::Integer, description));
    }
    let success = ContentBuilder::new().schema(Some(shapes.response.clone())).build();
    let success = ResponseBuilder::new().description("Done").content("application/json", success).build();
    operation = operation.response(route.success.as_str(), success);
    for (status, media_type, schema, titles) in failures(route, shapes) {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
        let response = ResponseBuilder::new().description(titles).content(media_type, content).build();
        operation = operation.response(status.to_string(), response);
    }
    operation.build()
}

/// Returns true if the route lists credentials page by page.
fn takes_a_page(route: &Route, shapes: &Shapes) -> bool {
    matches!(shapes.response, RefOr::T(Schema::Array(_))) && route.pattern.ends_with("credentials")
}

/// Returns an id such as `post_v1_integrations_provider_credentials`: stable, and unique in the
/// table.
fn operation_id(route: &Route) -> String {
    let words = route.pattern.split(['/', '{', '}', '.']).filter(|word| !word.is_empty());
    let words: Vec<_> = std::iter::once(route.method.as_str()).chain(words).collect();
    words.join("_").to_lowercase()
}

/// Returns the statuses other than success: media type, schema, and the titles of the problems.
fn failures(route: &Route, shapes: &Shapes) -> Vec<(u16, &'static str, &'static str, String)> {
    let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for kind in problem::ALL.iter().filter(|kind| can_happen(route, shapes, kind)) {
        by_status.entry(kind.status.as_u16()).or_default().push(kind.title);
    }
    let describe = |(status, titles): (u16, Vec<&str>)| {
        let (media_type, schema) = match status {
            422 => ("application/json", "Faults"),
            501 => ("application/json", "NotConfigured"),
            _ => ("application/problem+json", "Problem"),
        };
        (status, media_type, schema, titles.join("; "))
    };
    by_status.into_iter().map(describe).collect()
}

/// Returns true if a route can answer with a problem, as far as its descriptor tells.
fn can_happen(route: &Route, shapes: &Shapes, kind: &problem::ProblemType) -> bool {
    let guarded = route.permission.is_some();
    let has_body = shapes.request.is_some();
    let ends = |word: &str| route.pattern.ends_with(word);
    let (initiate, complete) = (ends("/oauth/initiate"), ends("/oauth/complete"));
    let one = route.pattern.contains("/{cred_id}");
    let refreshes = ends("/refresh") || ends("/token");
    let changes = ends("/refresh") || route.method == Method::PATCH;
    let (device, poll) = (ends("/oauth/device/initiate"), ends("/oauth/device/poll"));
    let create = has_body && ends("/credentials");
    match kind.uri.trim_start_matches("/problems/") {
        "user-required" | "user-malformed" => guarded,
        "callback-origin-not-allowed" => initiate,
        "state-of-connect-flow" | "exchange-failed" => complete,
        "invalid-state" | "authorization-denied" | "account-mismatch" => complete || poll,
        "provider-unavailable" | "provider-timeout" | "not-configured" => {
            initiate || device || poll || complete || refreshes
        }
        "device-flow-not-offered" => device,
        "grant-refused" => device || poll,
        "needs-reauth" => refreshes,
        "sender-constrained" => ends("/token"),
        "credential-type-not-supported" => create || changes,
        "provider-not-found" => initiate || device || complete || create,
        "oauth-not-supported" => initiate || device || complete,
        "credential-not-found" | "credential-of-another-provider" => initiate || device || one,
        "overloaded" => route.cost == Cost::Waiting,
        // Elsewhere it means that no route has the path.
        "not-found" => ends("/client.json"),
        _ => match kind.status.as_u16() {
            401 | 403 | 429 => guarded,
            408 | 413 => has_body,
            422 => has_body || takes_a_page(route, shapes) || ends("/token"),
            503 => guarded || route.pattern == "/readyz",
            405 => false,
            _ => true,
        },
    }
}

fn user_header() -> utoipa::openapi::path::Parameter {
    let text = ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).max_length(Some(128));
    ParameterBuilder::new()
        .name("Strongroom-User")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("The user that a service key acts for. Other keys must not send it."))
        .schema(Some(text))
        .build()
}

fn parameter(name: &str, schema_type: Type, description: &str) -> utoipa::openapi::path::Parameter {
    let schema = ObjectBuilder::new().schema_type(SchemaType::new(schema_type));
    let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query).required(Required::False);
    parameter.description(Some(description)).schema(Some(schema)).build()
}

fn page_parameters() -> [utoipa::openapi::path::Parameter; 2] {
    [
        parameter("limit", Type::Integer, "Maximum number of entries; the header Link then names the next page."),
        parameter("after", Type::String, "Only entries after the credential with this id."),
    ]
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String))
}

fn problem_schema() -> RefOr<Schema> {
    ObjectBuilder::new()
        .description(Some("RFC 9457. Members beyond these depend on the type."))
        .property("type", text().enum_values(Some(problem::ALL.iter().map(|kind| kind.uri))))
        .property("title", text())
        .property("status", ObjectBuilder::new().schema_type(SchemaType::new(Type::Integer)))
        .property("detail", text())
        .property("request_id", text())
        .required("type")
        .required("title")
        .required("status")
        .required("detail")
        .required("request_id")
        .into()
}

fn faults_schema() -> RefOr<Schema> {
    let fault = ObjectBuilder::new()
        .property("type", text())
        .property("loc", ArrayBuilder::new())
        .property("msg", text())
        .required("type")
        .required("loc")
        .required("msg");
    ObjectBuilder::new().property("detail", ArrayBuilder::new().items(fault)).required("detail").into()
}

fn not_configured_schema() -> RefOr<Schema> {
    let detail =
        ObjectBuilder::new().property("message", text()).property("hint", text()).required("message").required("hint");
    ObjectBuilder::new().property("detail", detail).required("detail").into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes::table;

    #[test]
    fn every_route_and_reference_is_described() {
        let document = serde_json::to_value(describe(&table(), "/base")).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        for route in table() {
            let operation = &document["paths"][route.pattern][route.method.as_str().to_lowercase()];
            assert!(operation["responses"][route.success.as_str()].is_object(), "{}", route.pattern);
            assert_eq!(operation["security"].is_array(), route.permission.is_some(), "{}", route.pattern);
        }
        let text = document.to_string();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }
}
