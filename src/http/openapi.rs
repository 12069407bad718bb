//! OpenAPI 3.1 description of the API, written from the route table and the types that it serves.

use std::collections::BTreeMap;

use http::Method;
use serde_json::{Map, Value, json};
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathsBuilder, Ref, RefOr,
    Required, ResponseBuilder, SecurityRequirement, ServerBuilder,
};

use super::json::{One, Shape as _};
use super::load_shed::Cost;
use super::problem::{self, Faults, NotConfigured, ProblemBody, ProblemType};
use super::request::path_params;
use super::request::query::MAX_Q;
use super::routes::route::{Query, Route, Shapes};
use super::schema_limits;
use crate::id::MAX_USER_ID;
use crate::permission::Permission;

const KEY_HEADER: &str = "apiKey";
const BEARER: &str = "bearer";

/// Describes these routes. `base_path` is the prefix of every path.
pub(crate) fn describe(routes: &[&Route], base_path: &str) -> Value {
    let document = document(routes, base_path);
    let mut document = serde_json::to_value(document).expect("the keys of the description are texts");
    simplify(&mut document);
    if let Some(schemas) = document.pointer_mut("/components/schemas").and_then(Value::as_object_mut) {
        let requests = routes.iter().filter_map(|route| (route.shapes)().request);
        for (name, _) in requests {
            schemas.get_mut(name).into_iter().for_each(schema_limits::add);
        }
        name_union_members(schemas);
    }
    document
}

/// Removes what generators of clients do not accept: members beside a reference, and a type for the
/// names of members, which are always texts.
fn simplify(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if members.contains_key("$ref") {
                members.retain(|name, _| name == "$ref");
            }
            members.remove("propertyNames");
            members.values_mut().for_each(simplify);
        }
        Value::Array(items) => items.iter_mut().for_each(simplify),
        _ => {}
    }
}

/// Gives each member of a union its title as the name of a component, because generators of clients
/// need a name for each class, and for each value of a discriminator.
fn name_union_members(schemas: &mut Map<String, Value>) {
    let mut named = Map::new();
    for union in schemas.values_mut() {
        let tag = union.pointer("/discriminator/propertyName").and_then(Value::as_str).map(str::to_owned);
        let mut mapping = Map::new();
        for member in union.get_mut("oneOf").and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(name) = member.get("title").and_then(Value::as_str).map(str::to_owned) else { continue };
            let place = format!("#/components/schemas/{name}");
            let value = tag.as_ref().and_then(|tag| member.pointer(&format!("/properties/{tag}/enum/0"))?.as_str());
            mapping.extend(value.map(|value| (value.to_owned(), json!(place))));
            named.insert(name, std::mem::replace(member, json!({ "$ref": place })));
        }
        if !mapping.is_empty() {
            union["discriminator"]["mapping"] = Value::Object(mapping);
        }
    }
    schemas.extend(named);
}

fn document(routes: &[&Route], base_path: &str) -> OpenApi {
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
    let passed = PASSED.iter().flat_map(|passed| passed.methods.iter().map(move |method| (passed, method)));
    for (passed, one) in passed {
        let item = utoipa::openapi::path::PathItem::new(method(one), passed_operation(passed, one));
        paths = paths.path(passed.pattern, item);
    }
    let key = SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-API-Key")));
    let bearer = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme(KEY_HEADER, key)
        .security_scheme(BEARER, bearer)
        .build();
    let license = LicenseBuilder::new().name(env!("CARGO_PKG_LICENSE")).identifier(Some(env!("CARGO_PKG_LICENSE")));
    let info = InfoBuilder::new()
        .title("Strongroom")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(env!("CARGO_PKG_DESCRIPTION")))
        .license(Some(license.build()));
    let server = ServerBuilder::new().url(if base_path.is_empty() { "/" } else { base_path }).build();
    OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([server]))
        .paths(paths.build())
        .components(Some(components))
        .tags(Some([
            TagBuilder::new().name("integrations").description(Some("Providers, logins and credentials")).build(),
            TagBuilder::new().name("server").description(Some("Public documents and the state of the server")).build(),
        ]))
        .build()
}

fn method(method: &Method) -> HttpMethod {
    match method.as_str() {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        "HEAD" => HttpMethod::Head,
        "OPTIONS" => HttpMethod::Options,
        _ => HttpMethod::Get,
    }
}

fn operation(route: &Route, shapes: &Shapes) -> Operation {
    let mut operation = begun(route.summary, (&route.method, route.pattern));
    if let Some((name, _)) = &shapes.request {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(*name))).build();
        let body = RequestBodyBuilder::new().content("application/json", content).required(Some(Required::True));
        operation = operation.request_body(Some(body.build()));
    }
    operation = match route.permission {
        Some(permission) => keyed(operation, permission, ""),
        None => operation.tag("server").securities(Some([])),
    };
    for (name, schema, description) in query_parameters(route.query) {
        operation = operation.parameter(parameter(ParameterIn::Query, name, schema, Some(description)));
    }
    let success = ContentBuilder::new().schema(Some(shapes.response.clone())).build();
    let success = ResponseBuilder::new().description("Done").content(shapes.media_type, success).build();
    operation = operation.response(route.success.as_str(), success);
    failing(operation, failures(route, shapes)).build()
}

/// Begins the description of an operation with its path parameters.
fn begun(summary: &str, (method, pattern): (&Method, &str)) -> OperationBuilder {
    let id = operation_id(method, pattern);
    let operation = OperationBuilder::new().summary(Some(summary)).operation_id(Some(id));
    path_params::names(pattern).fold(operation, |operation, name| {
        operation.parameter(parameter(ParameterIn::Path, name, of(Type::String), None))
    })
}

/// Adds what each operation with an API key has.
fn keyed(operation: OperationBuilder, permission: Permission, more: &str) -> OperationBuilder {
    let none: [&str; 0] = [];
    let id = of(Type::String).min_length(Some(1)).max_length(Some(MAX_USER_ID));
    let user = "The user that a service key acts for. Other keys must not send it.";
    operation
        .tag("integrations")
        .description(Some(format!("Needs the permission `{}`.{more}", permission.name())))
        .parameter(parameter(ParameterIn::Header, "Strongroom-User", id, Some(user)))
        .security(SecurityRequirement::new(KEY_HEADER, none))
        .security(SecurityRequirement::new(BEARER, none))
}

/// Adds the error answers.
fn failing(mut operation: OperationBuilder, failures: BTreeMap<u16, Vec<&'static str>>) -> OperationBuilder {
    for (status, titles) in failures {
        let (media_type, schema) = match status {
            422 => ("application/json", "Faults"),
            501 => ("application/json", "NotConfigured"),
            _ => ("application/problem+json", "Problem"),
        };
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
        let response = ResponseBuilder::new().description(titles.join("; ")).content(media_type, content).build();
        operation = operation.response(status.to_string(), response);
    }
    operation
}

/// An operation that is answered before warp, so that no route of the table describes it.
struct Passed {
    pattern: &'static str,
    methods: &'static [Method],
    summary: &'static str,
    description: &'static str,
    /// Media type of the bodies.
    media_type: &'static str,
    /// Status and description of each successful answer.
    success: &'static [(&'static str, &'static str)],
    problems: &'static [&'static ProblemType],
}

static PASSED: [Passed; 2] = [
    Passed {
        pattern: "/v1/proxy/{cred_id}/{path}",
        methods: &[
            Method::GET,
            Method::HEAD,
            Method::OPTIONS,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ],
        summary: "Send a request with a credential",
        description: " The path may have any number of segments, and bodies any type. `{cred_id}@{host}` \
                      names another host of the credential. An answer of Strongroom's own has the header `Strongroom-Problem`.",
        // Generators of clients do not accept `*/*`.
        media_type: "application/octet-stream",
        success: &[("200", "The provider's answer; it may have any other status too")],
        problems: &[
            &problem::PATH_NOT_CANONICAL,
            &problem::METHOD_OVERRIDDEN,
            &problem::NO_PLACE_FOR_SECRET,
            &problem::NOT_GRANTED,
            &problem::DESTINATION_NOT_ALLOWED,
            &problem::APPROVAL_PENDING,
            &problem::APPROVAL_DENIED,
            &problem::CREDENTIAL_NOT_FOUND,
            &problem::NEEDS_REAUTH,
            &problem::DESTINATION_UNKNOWN,
            &problem::NOT_PROXYABLE,
            &problem::CREDENTIAL_CHANGED,
            &problem::REQUEST_TIMEOUT,
            &problem::BODY_TOO_LARGE,
            &problem::APPROVAL_BODY_TOO_LARGE,
            &problem::PROVIDER_UNAVAILABLE,
            &problem::PROVIDER_TIMEOUT,
        ],
    },
    Passed {
        pattern: "/mcp",
        methods: &[Method::POST],
        summary: "Send a message to the MCP server",
        description: "",
        media_type: "application/json",
        success: &[("200", "The answer to a request"), ("202", "A notification or a response was accepted")],
        problems: &[
            &problem::ORIGIN_NOT_ALLOWED,
            &problem::REQUEST_TIMEOUT,
            &problem::BODY_TOO_LARGE,
            &problem::OVERLOADED,
        ],
    },
];

fn passed_operation(passed: &Passed, method: &Method) -> Operation {
    let of_json = passed.media_type == "application/json";
    let content = || {
        let bytes = || of(Type::String).format(Some(SchemaFormat::Custom("binary".to_owned())));
        let schema = if of_json { of(Type::Object) } else { bytes() };
        ContentBuilder::new().schema(Some(schema)).build()
    };
    let operation = begun(passed.summary, (method, passed.pattern));
    let mut operation = keyed(operation, Permission::ProxyIntegrations, passed.description);
    if [Method::POST, Method::PUT, Method::PATCH].contains(method) {
        let body = RequestBodyBuilder::new().content(passed.media_type, content());
        operation = operation.request_body(Some(body.required(of_json.then_some(Required::True)).build()));
    }
    for (status, description) in passed.success {
        let response = ResponseBuilder::new().description(*description);
        let response = if *status == "202" { response } else { response.content(passed.media_type, content()) };
        operation = operation.response(*status, response.build());
    }
    let always: [&[&ProblemType]; 3] = [&[&problem::MALFORMED_REQUEST, &problem::INTERNAL], OF_KEY, passed.problems];
    failing(operation, by_status(&always.concat())).build()
}

/// Returns an id such as `post_v1_integrations_provider_credentials`: stable, and unique in the
/// table.
fn operation_id(method: &Method, pattern: &str) -> String {
    let words = pattern.split(['/', '{', '}', '.']).filter(|word| !word.is_empty());
    let words: Vec<_> = std::iter::once(method.as_str()).chain(words).collect();
    words.join("_").to_lowercase()
}

/// Returns the statuses other than success, with the titles of the problems.
fn failures(route: &Route, shapes: &Shapes) -> BTreeMap<u16, Vec<&'static str>> {
    let by_column: [(bool, &[&ProblemType]); 5] = [
        (true, &[&problem::MALFORMED_REQUEST, &problem::INTERNAL]),
        (route.permission.is_some(), OF_KEY),
        (shapes.request.is_some(), &[&problem::REQUEST_TIMEOUT, &problem::BODY_TOO_LARGE, &problem::INVALID_REQUEST]),
        (route.query != Query::Empty, &[&problem::INVALID_REQUEST]),
        (route.cost != Cost::Cheap, &[&problem::OVERLOADED]),
    ];
    let applying = by_column.iter().filter(|(applies, _)| *applies).map(|(_, problems)| problems);
    by_status(&applying.chain(route.problems).copied().flatten().copied().collect::<Vec<_>>())
}

/// Returns the titles of these problems by their status.
fn by_status(possible: &[&ProblemType]) -> BTreeMap<u16, Vec<&'static str>> {
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

/// Returns the name, the schema and the description of each parameter.
fn query_parameters(query: Query) -> Vec<(&'static str, ObjectBuilder, &'static str)> {
    let limit = "Maximum number of entries; the header Link then names the next page.";
    let limit = ("limit", of(Type::Integer).minimum(Some(1)), limit);
    let id = || of(Type::String).format(Some(SchemaFormat::Custom("uuid".to_owned())));
    match query {
        Query::Empty => Vec::new(),
        Query::Page => vec![limit, ("after", id(), "Only entries after the one with this id.")],
        Query::Grants => vec![
            ("key", id(), "Only grants of the API key with this id."),
            limit,
            ("after", id(), "Only entries after the one with this id."),
        ],
        Query::Providers => vec![
            ("configured", of(Type::Boolean), "Only providers that are configured, or only the others."),
            (
                "q",
                of(Type::String).max_length(Some(MAX_Q)),
                "Words that each occur in the name, the display name or the category.",
            ),
            limit,
            ("after", of(Type::String), "Only entries after the provider with this name."),
        ],
        Query::MinTtl => {
            let description = "Minimum remaining lifetime of the token in seconds; 300 by default.";
            vec![("min_ttl", of(Type::Integer).minimum(Some(0)), description)]
        }
    }
}

fn of(schema_type: Type) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(SchemaType::new(schema_type))
}

fn parameter(place: ParameterIn, name: &str, schema: ObjectBuilder, description: Option<&str>) -> Parameter {
    let required = if place == ParameterIn::Path { Required::True } else { Required::False };
    let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(required);
    parameter.description(description).schema(Some(schema)).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::routes::table;

    #[test]
    fn every_route_and_reference_is_described() {
        let document = describe(&table(), "/base");
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        for route in table() {
            let operation = &document["paths"][route.pattern][route.method.as_str().to_lowercase()];
            assert!(operation["responses"][route.success.as_str()].is_object(), "{}", route.pattern);
            let parameters: Vec<_> = operation["parameters"].as_array().into_iter().flatten().collect();
            let lists_pages = parameters.iter().any(|parameter| parameter["name"] == "after");
            assert_eq!(
                lists_pages,
                matches!(route.query, Query::Page | Query::Grants | Query::Providers),
                "{}",
                route.pattern
            );
            let keys = operation["security"].as_array().map(Vec::len);
            assert_eq!(keys, Some(if route.permission.is_some() { 2 } else { 0 }), "{}", route.pattern);
        }
        let text = document.to_string();
        for reference in text.split("#/components/schemas/").skip(1) {
            let name = reference.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }

    #[test]
    fn list_of_revocations_has_pages() {
        let document = describe(&table(), "");
        let parameters = document["paths"]["/v1/revocations"]["get"]["parameters"].as_array().unwrap();
        let names: Vec<_> = parameters.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["Strongroom-User", "limit", "after"]);
    }

    fn check_references(value: &Value, path: &str) {
        if let Value::Object(members) = value {
            assert!(!members.contains_key("$ref") || members.len() == 1, "{path}");
            for (name, member) in members {
                check_references(member, &format!("{path}/{name}"));
            }
        }
        if let Value::Array(items) = value {
            for item in items {
                check_references(item, path);
            }
        }
    }

    // Generators of clients do not accept other forms.
    #[test]
    fn references_stand_alone_and_members_of_unions_are_named() {
        let document = describe(&table(), "");
        check_references(&document, "");
        assert_eq!(document["info"]["license"]["identifier"], "MIT OR Apache-2.0");
        let schemas = &document["components"]["schemas"];
        for union in ["CreateCredentialRequest", "LiveSecret", "DevicePoll"] {
            let members = schemas[union]["oneOf"].as_array().unwrap();
            assert!(members.iter().all(|member| member["$ref"].is_string()), "{union}");
        }
        let mapping = schemas["CreateCredentialRequest"]["discriminator"]["mapping"].as_object().unwrap();
        assert_eq!((&mapping["api_key"], mapping.len()), (&json!("#/components/schemas/CreateApiKey"), 5));
    }

    #[test]
    fn bounds_of_queries_and_updates_are_described() {
        let document = describe(&table(), "");
        let schema = |path: &str, name: &str| {
            let parameters = document["paths"][path]["get"]["parameters"].as_array().unwrap();
            parameters.iter().find(|one| one["name"] == name).unwrap()["schema"].clone()
        };
        let list = "/v1/integrations/credentials";
        assert_eq!((&schema(list, "limit")["minimum"], &schema(list, "after")["format"]), (&json!(1), &json!("uuid")));
        let token = "/v1/integrations/{provider}/credentials/{cred_id}/token";
        assert_eq!(schema(token, "min_ttl")["minimum"], 0);
        assert_eq!(document["components"]["schemas"]["UpdateCredentialRequest"]["minProperties"], 1);
    }
}
