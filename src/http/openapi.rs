//! OpenAPI 3.1 description of the API, written from the route table and the types that it serves.

use std::collections::BTreeMap;

use http::Method;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathsBuilder, Ref, RefOr,
    Required, ResponseBuilder, SecurityRequirement, ServerBuilder,
};

use super::json::{One, Shape as _};
use super::load_shed::Cost;
use super::problem::{self, Faults, NotConfigured, ProblemBody, ProblemType};
use super::request::path_params;
use super::routes::route::{Query, Route, Shapes};

const KEY_HEADER: &str = "apiKey";
const BEARER: &str = "bearer";

/// Describes these routes. `base_path` is the prefix of every path.
pub(crate) fn describe(routes: &[&Route], base_path: &str) -> OpenApi {
    let mut schemas = Vec::new();
    One::<ProblemBody<'_>>::schema(&mut schemas);
    One::<Faults>::schema(&mut schemas);
    One::<NotConfigured>::schema(&mut schemas);
    let mut schemas: BTreeMap<String, RefOr<Schema>> = schemas.into_iter().collect();
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
        operation = operation.parameter(parameter(ParameterIn::Path, name, Type::String, None));
    }
    if let Some((name, _)) = &shapes.request {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(*name))).build();
        let body = RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True));
        operation = operation.request_body(Some(body.build()));
    }
    if let Some(permission) = route.permission {
        let none: [&str; 0] = [];
        let user = "The user that a service key acts for. Other keys must not send it.";
        operation = operation
            .tag("integrations")
            .description(Some(format!("Needs the permission `{}`.", permission.name())))
            .parameter(parameter(ParameterIn::Header, "Strongroom-User", Type::String, Some(user)))
            .security(SecurityRequirement::new(KEY_HEADER, none))
            .security(SecurityRequirement::new(BEARER, none));
    } else {
        operation = operation.tag("server");
    }
    let query: &[(&str, Type, &str)] = match route.query {
        Query::Empty => &[],
        Query::Page => &[
            ("limit", Type::Integer, "Maximum number of entries; the header Link then names the next page."),
            ("after", Type::String, "Only entries after the one with this id."),
        ],
        Query::MinTtl => {
            &[("min_ttl", Type::Integer, "Minimum remaining lifetime of the token in seconds; 300 by default.")]
        }
    };
    for (name, schema_type, description) in query {
        operation = operation.parameter(parameter(ParameterIn::Query, name, schema_type.clone(), Some(description)));
    }
    let success = ContentBuilder::new().schema(Some(shapes.response.clone())).build();
    let success = ResponseBuilder::new().description("Done").content("application/json", success).build();
    operation = operation.response(route.success.as_str(), success);
    for (status, titles) in failures(route, shapes) {
        let (media_type, schema) = match status {
            422 => ("application/json", "Faults"),
            501 => ("application/json", "NotConfigured"),
            _ => ("application/problem+json", "Problem"),
        };
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
        let response = ResponseBuilder::new().description(titles.join("; ")).content(media_type, content).build();
        operation = operation.response(status.to_string(), response);
    }
    operation.build()
}

/// Returns an id such as `post_v1_integrations_provider_credentials`: stable, and unique in the
/// table.
fn operation_id(route: &Route) -> String {
    let words = route.pattern.split(['/', '{', '}', '.']).filter(|word| !word.is_empty());
    let words: Vec<_> = std::iter::once(route.method.as_str()).chain(words).collect();
    words.join("_").to_lowercase()
}

/// Returns the statuses other than success, with the titles of the problems.
fn failures(route: &Route, shapes: &Shapes) -> BTreeMap<u16, Vec<&'static str>> {
    let by_column: [(bool, &[&ProblemType]); 5] = [
        (true, &[&problem::MALFORMED_REQUEST, &problem::INTERNAL]),
        (route.permission.is_some(), OF_KEY),
        (shapes.request.is_some(), &[&problem::REQUEST_TIMEOUT, &problem::BODY_TOO_LARGE, &problem::INVALID_REQUEST]),
        (route.query != Query::Empty, &[&problem::INVALID_REQUEST]),
        (route.cost == Cost::Waiting, &[&problem::OVERLOADED]),
    ];
    let applying = by_column.iter().filter(|(applies, _)| *applies).map(|(_, problems)| problems);
    let possible: Vec<_> = applying.chain(route.problems).copied().flatten().collect();
    let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
    for kind in problem::ALL.iter().filter(|kind| possible.contains(kind)) {
        by_status.entry(kind.status.as_u16()).or_default().push(kind.title);
    }
    by_status
}

/// Problems of a route that needs a key.
const OF_KEY: &[&ProblemType] = &[
    &problem::MISSING_AUTHENTICATION,
    &problem::INVALID_API_KEY,
    &problem::RATE_LIMITED,
    &problem::PERMISSION_MISSING,
    &problem::USER_REQUIRED,
    &problem::USER_MALFORMED,
    &problem::USER_NOT_NAMEABLE,
    &problem::USER_NOT_ALLOWED,
    &problem::VAULT_UNAVAILABLE,
];

fn parameter(place: ParameterIn, name: &str, schema_type: Type, description: Option<&str>) -> Parameter {
    let required = if place == ParameterIn::Path { Required::True } else { Required::False };
    let schema = ObjectBuilder::new().schema_type(SchemaType::new(schema_type));
    let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(required);
    parameter.description(description).schema(Some(schema)).build()
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
            let parameters: Vec<_> = operation["parameters"].as_array().into_iter().flatten().collect();
            let lists_pages = parameters.iter().any(|parameter| parameter["name"] == "after");
            assert_eq!(lists_pages, route.query == Query::Page, "{}", route.pattern);
            assert_eq!(operation["security"].is_array(), route.permission.is_some(), "{}", route.pattern);
        }
        let text = document.to_string();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }

    #[test]
    fn list_of_revocations_has_pages() {
        let document = serde_json::to_value(describe(&table(), "")).unwrap();
        let parameters = document["paths"]["/v1/revocations"]["get"]["parameters"].as_array().unwrap();
        let names: Vec<_> = parameters.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["Strongroom-User", "limit", "after"]);
    }
}
