//! The bodies of the contract, field by field, and what every answer has in common.

use std::collections::BTreeSet;

use crate::support::flow::CALLBACK;
use crate::support::http::Reply;
use crate::support::{Server, Setup};
use http::Method;
use serde_json::{Map, Value, json};
use strongroom::http::{Limits, Settings, routes};
use strongroom::permission::Permission;

const CREATE: &str = "/v1/integrations/http/credentials";

fn fields(object: &Value) -> BTreeSet<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// The faults of `body` in pydantic's words: the type and the location of each.
async fn faults(server: &Server, path: &str, body: &Value) -> Value {
    let reply = server.post(path).key(&server.key).json(body).send().await.is(422);
    assert_eq!(reply.header("Content-Type"), Some("application/json"));
    assert_eq!(fields(&reply.json()), BTreeSet::from(["detail"]));
    let list = reply.detail();
    for fault in list.as_array().unwrap() {
        assert_eq!(fields(fault), BTreeSet::from(["loc", "msg", "type"]), "never its input");
    }
    list.as_array().unwrap().iter().map(|fault| json!([fault["type"], fault["loc"]])).collect()
}

#[tokio::test]
async fn code_flow_answers_have_exactly_these_fields() {
    let server = Server::start().await;
    let body = json!({"callback_url": CALLBACK, "unknown": {"fields": ["are", "ignored"]}, "inputs": {"x": "y"}});
    let path = "/v1/integrations/sandbox/oauth/initiate";
    let started = server.post(path).key(&server.key).json(&body).send().await.is(200).json();
    assert_eq!(fields(&started), BTreeSet::from(["expires_at", "login_url", "state_token"]));
    let started = server.initiate("sandbox").await;
    let completed = server.complete("sandbox", &server.log_in(&started).await).await.is(200).json();
    let expected = ["credentials_id", "provider", "scopes", "state_metadata", "title", "type", "username"];
    assert_eq!(fields(&completed), BTreeSet::from(expected));
    let id = completed["credentials_id"].as_str().unwrap();
    assert_eq!(uuid::Uuid::parse_str(id).unwrap().to_string(), id, "a lower-case UUID");
}

#[tokio::test]
async fn provider_has_exactly_these_fields() {
    let server = Server::start().await;
    let list = server.get("/v1/integrations/providers").key(&server.key).send().await.is(200).json();
    for provider in list.as_array().unwrap() {
        let first = ["name", "supports_oauth", "supports_api_key", "supports_user_password", "supports_host_scoped"];
        let more = ["default_scopes", "display_name", "docs_url", "configured", "category", "inputs"];
        assert_eq!(fields(provider), first.into_iter().chain(more).collect(), "{provider}");
    }
    let of = |name: &str| list.as_array().unwrap().iter().find(|provider| provider["name"] == name).unwrap().clone();
    assert_eq!(of("discord")["default_scopes"], json!(["identify"]));
    assert_eq!(
        (&of("smtp")["supports_user_password"], &of("http")["supports_host_scoped"]),
        (&json!(true), &json!(true))
    );
    assert_eq!((&of("openai")["supports_oauth"], &of("openai")["default_scopes"]), (&json!(false), &json!([])));
}

#[tokio::test]
async fn hosts_are_accepted_in_every_form_and_kept_verbatim() {
    let server = Server::start().await;
    let body = |host: &str| json!({"type": "host_scoped", "host": host, "headers": {"X-Key": "v"}, "title": "t"});
    let good = [
        "Api.Example.com",
        "api.example.com:8443",
        "*.example.com",
        "192.0.2.1",
        "[2001:db8::1]:8443",
        "2001:db8::1",
        "https://api.example.com/ignored?x#y",
        "http://10.0.0.1:8080/",
        "bücher.example",
    ];
    for host in good {
        server.post(CREATE).key(&server.key).json(&body(host)).send().await.is(201);
    }
    let shown: Vec<Value> = server.list().await.as_array().unwrap().iter().map(|item| item["host"].clone()).collect();
    assert_eq!(shown, good);
    let place = json!([["value_error", ["body", "host_scoped", "host"]]]);
    for host in
        ["", "*", "a.*.example", "ftp://a.example", "https://u:p@a.example", "a.example/x", "0x7f.1", "a.example:0"]
    {
        assert_eq!(faults(&server, CREATE, &body(host)).await, place, "{host}");
    }
}

#[tokio::test]
async fn expiry_is_integer_integral_float_or_decimal_text() {
    let server = Server::start().await;
    let body = |expiry: Value| json!({"type": "api_key", "api_key": "k", "title": "t", "expires_at": expiry});
    for good in [json!(1_900_000_000), json!(1.9e9), json!("1900000000"), json!(null)] {
        server.post(CREATE).key(&server.key).json(&body(good)).send().await.is(201);
    }
    for (bad, kind) in [
        (json!(1.5), "int_from_float"),
        (json!("soon"), "int_parsing"),
        (json!(""), "int_parsing"),
        (json!(true), "int_type"),
        (json!([]), "int_type"),
        (json!(1e300), "int_parsing_size"),
    ] {
        assert_eq!(faults(&server, CREATE, &body(bad)).await, json!([[kind, ["body", "api_key", "expires_at"]]]));
    }
}

#[tokio::test]
async fn body_faults_use_the_originals_words() {
    let server = Server::start().await;
    let complete = "/v1/integrations/sandbox/oauth/complete";
    let initiate = "/v1/integrations/sandbox/oauth/initiate";
    for (path, body, expected) in [
        (initiate, json!({}), json!([["missing", ["body", "callback_url"]]])),
        (initiate, json!([]), json!([["model_attributes_type", ["body"]]])),
        (
            initiate,
            json!({"callback_url": 1, "scopes": ["a", 2], "state_metadata": null, "credential_id": []}),
            json!([
                ["string_type", ["body", "callback_url"]],
                ["string_type", ["body", "scopes", 1]],
                ["dict_type", ["body", "state_metadata"]],
                ["string_type", ["body", "credential_id"]],
            ]),
        ),
        (complete, json!({}), json!([["missing", ["body", "code"]], ["missing", ["body", "state_token"]]])),
        (
            complete,
            json!({"code": null, "state_token": {}, "callback_params": {"iss": 1}}),
            json!([
                ["string_type", ["body", "callback_params", "iss"]],
                ["string_type", ["body", "code"]],
                ["string_type", ["body", "state_token"]],
            ]),
        ),
        (CREATE, json!({"title": "t"}), json!([["union_tag_not_found", ["body"]]])),
        (CREATE, json!({"type": "oauth2"}), json!([["union_tag_invalid", ["body"]]])),
        (
            CREATE,
            json!({"type": "user_password", "username": "", "title": 1}),
            json!([
                ["string_type", ["body", "user_password", "title"]],
                ["string_too_short", ["body", "user_password", "username"]],
                ["missing", ["body", "user_password", "password"]],
            ]),
        ),
        (
            CREATE,
            json!({"type": "host_scoped", "host": "a", "headers": {"A": "", "B": 1}, "title": ""}),
            json!([
                ["string_too_short", ["body", "host_scoped", "headers", "A"]],
                ["string_type", ["body", "host_scoped", "headers", "B"]],
            ]),
        ),
    ] {
        assert_eq!(faults(&server, path, &body).await, expected, "{body}");
    }
}

#[tokio::test]
async fn request_ids_are_unique_and_never_the_callers() {
    let server = Server::start().await;
    let mut seen = BTreeSet::new();
    for path in ["/healthz", "/nowhere", "/v1/integrations/providers", "/v1/integrations/credentials"] {
        for _ in 0..10 {
            let reply = server.get(path).header("X-Request-Id", "mine").send().await;
            assert_eq!(reply.headers.get_all("X-Request-Id").iter().count(), 1);
            assert!(seen.insert(reply.header("X-Request-Id").unwrap().to_owned()));
        }
    }
    assert!(!seen.contains("mine"));
}

#[tokio::test]
async fn answers_under_the_base_path_are_no_store() {
    let settings = Settings { base_path: "/external-api".to_owned(), ..Settings::default() };
    let server = Server::with(Setup { settings, ..Setup::default() }).await;
    for route in routes::table() {
        let path = format!("/external-api{}", route.example_path());
        for method in [route.method.clone(), Method::PUT, Method::HEAD] {
            let reply = server.ask(method.clone(), &path).key(&server.key).send().await;
            let kept = route.pattern == "/v1/integrations/providers" && method != Method::PUT;
            let expected = if kept { "private, no-cache" } else { "no-store" };
            assert_eq!(reply.header("Cache-Control"), Some(expected), "{method} {path}: {}", reply.status);
        }
    }
}

#[tokio::test]
async fn paths_name_their_methods_and_answer_head() {
    let server = Server::start().await;
    for route in routes::table() {
        let path = route.example_path();
        let wrong = server.ask(Method::TRACE, &path).key(&server.key).send().await.is(405);
        let allow = wrong.header("Allow").unwrap().to_owned();
        assert!(allow.split(", ").any(|method| method == route.method.as_str()), "{path}: {allow}");
        let head = server.ask(Method::HEAD, &path).key(&server.key).send().await;
        let allowed = allow.split(", ").any(|method| method == "HEAD");
        assert_eq!((head.status == 405, head.body.len()), (!allowed, 0), "{path}: {}", head.status);
        assert!(head.status < 500, "{path}: {}", head.status);
    }
}

#[tokio::test]
async fn list_links_to_its_next_page_under_the_callers_path() {
    let settings = Settings { base_path: "/external-api".to_owned(), ..Settings::default() };
    let server = Server::with(Setup { settings, ..Setup::default() }).await;
    let body = json!({"type": "api_key", "api_key": "k", "title": ""});
    let path = "/external-api/v1/integrations/open_router/credentials";
    for _ in 0..3 {
        server.post(path).key(&server.key).json(&body).send().await.is(201);
    }
    let first = server.get(&format!("{path}?limit=2")).key(&server.key).send().await.is(200);
    let link = first.header("Link").unwrap();
    let next = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
    let last = server.get(next).key(&server.key).send().await.is(200);
    assert_eq!((first.json().as_array().unwrap().len(), last.json().as_array().unwrap().len()), (2, 1));
    assert_eq!(last.header("Link"), None);
    let after = first.json()[0]["id"].as_str().unwrap().to_owned();
    let rest = server.get(&format!("{path}?after={after}")).key(&server.key).send().await.is(200);
    assert_eq!((rest.json().as_array().unwrap().len(), rest.header("Link")), (2, None));
    assert_eq!(server.get(path).key(&server.key).send().await.json().as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn trusted_proxy_gives_each_caller_its_own_allowance() {
    let limits = Limits { failed_attempts_burst: 2, ..Limits::default() };
    let trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    let settings = Settings { limits, trusted_proxies, ..Settings::default() };
    let server = Server::with(Setup { settings, ..Setup::default() }).await;
    let guess = async |caller: &str| {
        let ask = server.get("/v1/integrations/providers").key("guess").header("X-Forwarded-For", caller);
        ask.send().await.status
    };
    let by_one = [guess("192.0.2.1").await, guess("x, 192.0.2.1").await, guess("198.51.100.9, 192.0.2.1").await];
    assert_eq!(by_one, [401, 401, 429]);
    assert_eq!(guess("192.0.2.2").await, 401);
}

#[tokio::test]
async fn untrusted_proxy_cannot_name_the_caller() {
    let server = Server::with(Setup::limits(Limits { failed_attempts_burst: 2, ..Limits::default() })).await;
    let mut statuses = Vec::new();
    for caller in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        let ask = server.get("/v1/integrations/providers").key("guess").header("X-Forwarded-For", caller);
        statuses.push(ask.send().await.status);
    }
    assert_eq!(statuses, [401, 401, 429]);
}

#[tokio::test]
async fn path_names_are_percent_decoded() {
    let server = Server::start().await;
    let id = server.create_api_key_credential("open%5Frouter").await;
    let listed = server.get("/v1/integrations/%6Fpen_router/credentials").key(&server.key).send().await.is(200).json();
    assert_eq!(listed[0]["provider"], "open_router");
    let path = format!("/v1/integrations/open_router/credentials/{}", id.replace('-', "%2D"));
    server.delete(&path).key(&server.key).send().await.is(200);
}

#[tokio::test]
async fn openapi_lists_every_field_of_every_answer() {
    let server = Server::start().await;
    let document = server.get("/openapi.json").send().await.is(200).json();
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let answers = name.ends_with("Response") || ["ProviderInfo", "CredentialSummary"].contains(&name.as_str());
        let mut always = if answers { fields(&schema["properties"]) } else { continue };
        // Absent where there are none.
        for optional in ["missing_scopes", "further_credentials"] {
            always.remove(optional);
        }
        let required: BTreeSet<&str> =
            schema["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert_eq!(required, always, "{name}");
    }
    let created = &document["components"]["schemas"]["CreateApiKey"]["properties"];
    let types: Vec<_> = created["expires_at"]["oneOf"].as_array().unwrap().iter().map(|one| &one["type"]).collect();
    assert_eq!(types, ["integer", "string", "null"]);
}

#[tokio::test]
async fn openapi_lists_every_status_of_every_route() {
    let server = Server::start().await;
    let document = server.get("/openapi.json").send().await.is(200).json();
    let statuses = |path: &str, method: &str| {
        fields(&document["paths"][path][method]["responses"])
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .join(" ")
    };
    let providers = statuses("/v1/integrations/providers", "get");
    assert_eq!(providers, "200 400 401 403 422 429 500 503");
    let initiate = statuses("/v1/integrations/{provider}/oauth/initiate", "post");
    assert_eq!(initiate, "200 400 401 403 404 408 409 413 422 429 500 501 502 503 504");
    let complete = statuses("/v1/integrations/{provider}/oauth/complete", "post");
    assert_eq!(complete, "200 400 401 403 404 408 409 413 422 429 500 501 502 503 504");
    let delete = &document["paths"]["/v1/integrations/{provider}/credentials/{cred_id}"]["delete"]["responses"];
    assert_eq!(
        delete["404"]["description"],
        "The credential does not exist; The credential belongs to another provider"
    );
}

#[tokio::test]
async fn every_described_operation_is_served() {
    let settings = Settings { base_path: "/base".to_owned(), ..Settings::default() };
    let server = Server::with(Setup { settings, ..Setup::default() }).await;
    let document = server.get("/openapi.json").send().await.is(200).json();
    let key = server.key_with(&Permission::ALL).await;
    let described = document["paths"].as_object().unwrap();
    for path in ["/v1/proxy/{cred_id}/{path}", "/v1/proxy/destinations", "/v1/proxy/ca.pem", "/mcp"] {
        assert!(described.contains_key(path), "{path}");
    }
    for (path, item) in described {
        for method in fields(item) {
            let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let path = format!("/base{}", path.replace(['{', '}'], ""));
            let reply = server.ask(method.clone(), &path).key(&key).send().await;
            let unknown = reply.status == 404 && reply.text().contains("\"detail\":\"Not Found\"");
            assert!(reply.status != 405 && !unknown, "{method} {path}");
        }
    }
    let any = fields(&described["/v1/proxy/{cred_id}/{path}"]);
    assert_eq!(any, BTreeSet::from(["delete", "get", "head", "options", "patch", "post", "put"]));
}

/// A value at this bound of a member's schema, and one over it, for each bound that it has.
fn around_bounds(schema: &Value) -> Vec<(Value, Value)> {
    let text = |length: usize| Value::from("x".repeat(length));
    let bound = |schema: &Value, name: &str| schema[name].as_u64().map(|bound| usize::try_from(bound).unwrap());
    let named = |count: usize| (0..count).map(|number| (number.to_string(), Value::from("x"))).collect::<Map<_, _>>();
    let mut all = Vec::new();
    all.extend(bound(schema, "maxLength").map(|most| (text(most), text(most + 1))));
    all.extend(bound(schema, "maxItems").map(|most| (json!(vec!["x"; most]), json!(vec!["x"; most + 1]))));
    all.extend(bound(schema, "maxProperties").map(|most| (json!(named(most)), json!(named(most + 1)))));
    all.extend(bound(&schema["items"], "maxLength").map(|most| (json!([text(most)]), json!([text(most + 1)]))));
    let item = &schema["additionalProperties"];
    // The name belongs to the item.
    all.extend(bound(item, "maxLength").map(|most| (json!({"a": text(most - 1)}), json!({"a": text(most + 1)}))));
    all.extend(schema["oneOf"].as_array().into_iter().flatten().flat_map(around_bounds));
    all
}

#[tokio::test]
async fn bounds_in_the_schema_are_those_of_the_server() {
    let server = Server::start().await;
    let document = server.get("/openapi.json").send().await.is(200).json();
    let schema_of = |reference: &Value| {
        let name = reference["$ref"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        (document["components"]["schemas"][&name].clone(), name)
    };
    let key = server.key_with(&Permission::ALL).await;
    let mut checked = BTreeSet::new();
    let operations = document["paths"].as_object().unwrap().iter();
    for (path, method, operation) in operations.flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| (path, method, operation))
    }) {
        let reference = &operation["requestBody"]["content"]["application/json"]["schema"];
        // A message to the MCP server has no fields of ours.
        if reference["$ref"].is_null() {
            continue;
        }
        let path = path.replace("{provider}", "sandbox").replace("{cred_id}", "0192d3f0-7c3a-7000-8000-000000000001");
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let (schema, name) = schema_of(reference);
        let members = schema["oneOf"].as_array().map(|members| members.iter().map(schema_of).collect());
        for (schema, name) in members.unwrap_or_else(|| vec![(schema, name)]) {
            for (property, schema) in schema["properties"].as_object().unwrap() {
                let exceeded = async |value: &Value| {
                    let mut body = json!({ property: value });
                    if let Some(tag) = schema_tag(&document, &name) {
                        body["type"] = tag;
                    }
                    let reply = server.ask(method.clone(), &path).key(&key).json(&body).send().await;
                    let faults = if reply.status == 422 { reply.detail() } else { json!([]) };
                    faults.as_array().unwrap().iter().any(|fault| {
                        let of_limit = ["at most", "more than"];
                        let msg = fault["msg"].as_str().unwrap();
                        let in_place = fault["loc"].as_array().unwrap().contains(&json!(property));
                        in_place && of_limit.iter().any(|words| msg.contains(words))
                    })
                };
                for (at, over) in around_bounds(schema) {
                    assert!(!exceeded(&at).await, "{name}.{property}: the bound itself");
                    assert!(exceeded(&over).await, "{name}.{property}: more than the bound");
                    checked.insert(property.clone());
                }
            }
        }
    }
    for property in [
        "api_key",
        "callback_params",
        "callback_url",
        "client_secret",
        "code",
        "further_scopes",
        "headers",
        "inputs",
        "key",
        "password",
        "scopes",
        "state_token",
        "title",
        "username",
    ] {
        assert!(checked.contains(property), "{property} has no bound in the schema");
    }

    let service = server.service_key(&[]).await;
    let parameters = &document["paths"]["/v1/integrations/credentials"]["get"]["parameters"];
    let user = parameters.as_array().unwrap().iter().find(|one| one["name"] == "Strongroom-User").unwrap();
    let longest = usize::try_from(user["schema"]["maxLength"].as_u64().unwrap()).unwrap();
    for (length, status) in [(longest, 200), (longest + 1, 400)] {
        let ask = server.get("/v1/integrations/credentials").key(&service);
        ask.header("Strongroom-User", &"u".repeat(length)).send().await.is(status);
    }
}

/// The value of `type` in a member of a union.
fn schema_tag(document: &Value, name: &str) -> Option<Value> {
    let mapping = &document["components"]["schemas"]["CreateCredentialRequest"]["discriminator"]["mapping"];
    let place = format!("#/components/schemas/{name}");
    mapping.as_object()?.iter().find(|(_, one)| **one == place).map(|(tag, _)| json!(tag))
}

#[tokio::test]
async fn providers_are_compressed_filtered_and_revalidated() {
    use std::io::Read as _;

    const PATH: &str = "/v1/integrations/providers";
    let server = Server::start().await;
    let get = |path: &str| server.get(path).key(&server.key);
    let plain = get(PATH).send().await.is(200);
    assert_eq!(plain.header("Content-Encoding"), None);
    assert_eq!(plain.header("Vary"), Some("accept-encoding"));
    for accepted in ["gzip", "br, gzip;q=0.8, *;q=0.1"] {
        let packed = get(PATH).header("Accept-Encoding", accepted).send().await.is(200);
        assert_eq!(packed.header("Content-Encoding"), Some("gzip"));
        assert!(packed.body.len() < plain.body.len() / 5, "{}", packed.body.len());
        let mut text = String::new();
        flate2::read::GzDecoder::new(packed.body.as_slice()).read_to_string(&mut text).unwrap();
        assert_eq!(text, plain.text());
        assert_eq!(packed.header("ETag"), plain.header("ETag"));
    }
    let refused = get(PATH).header("Accept-Encoding", "gzip;q=0, identity").send().await.is(200);
    assert_eq!(refused.header("Content-Encoding"), None);

    let etag = plain.header("ETag").unwrap();
    let known = get(PATH).header("If-None-Match", &format!("\"x\", {etag}")).send().await.is(304);
    assert!(known.body.is_empty() && known.header("ETag") == Some(etag));
    get(PATH).header("If-None-Match", "\"x\"").send().await.is(200);

    let names = |reply: &Reply| -> Vec<String> {
        reply.json().as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    let all = names(&plain);
    assert_eq!(names(&get(&format!("{PATH}?q=GitHub+developer")).send().await.is(200))[0], "github");
    let configured = get(&format!("{PATH}?configured=true")).send().await.is(200).json();
    assert!(configured.as_array().unwrap().iter().all(|one| one["configured"] == true));
    let (mut seen, mut next) = (Vec::new(), format!("{PATH}?limit=200"));
    loop {
        let page = get(&next).send().await.is(200);
        seen.extend(names(&page));
        let Some(link) = page.header("Link") else { break };
        next = link.split(['<', '>']).nth(1).unwrap().to_owned();
    }
    assert_eq!(seen, all);
    for wrong in ["limit=0", "limit=x", "configured=maybe"] {
        get(&format!("{PATH}?{wrong}")).send().await.is(422);
    }
}

#[tokio::test]
async fn one_provider_is_described() {
    const PATH: &str = "/v1/integrations/providers";
    let config = "[providers.github]\nclient_id = \"c\"\nclient_secret = \"s\"\n\
        [providers.robot]\ndisplay_name = \"Robot\"\nnotes = [\"For machines.\"]\n\
        [providers.robot.oauth]\nauthorize_url = \"https://robot.example/a\"\ntoken_url = \"https://robot.example/t\"\n\
        grants = [\"client_credentials\"]\nregister = \"https://robot.example/apps\"\n";
    let server = Server::with(Setup { config: config.to_owned(), ..Setup::default() }).await;
    let get = |path: &str| server.get(path).key(&server.key);
    let list = get(PATH).send().await.is(200).json();
    for name in ["github", "zendesk", "smtp", "http", "mcp", "openai", "robot"] {
        let one = get(&format!("{PATH}/{name}")).send().await.is(200).json();
        let listed = list.as_array().unwrap().iter().find(|listed| listed["name"] == name).unwrap();
        for (member, value) in listed.as_object().unwrap() {
            assert_eq!(&one[member], value, "{name}: {member}");
        }
        assert_eq!(one.as_object().unwrap().len(), listed.as_object().unwrap().len() + 5, "{one}");
    }
    let reply = get(&format!("{PATH}/github")).send().await.is(200);
    let github = reply.json();
    assert_eq!(github["kinds"], json!(["oauth2", "api_key"]));
    assert_eq!((&github["oauth"]["missing"], &github["configured"]), (&Value::Null, &json!(true)));
    assert_eq!(github["oauth"]["register_url"], "https://github.com/settings/developers");
    assert_eq!(github["api_key"]["in"], "header");
    assert_eq!(github["user_password"], Value::Null);
    let zendesk = get(&format!("{PATH}/zendesk")).send().await.is(200).json();
    assert_eq!(zendesk["api_key"]["secrets"], json!(["email", "api_token"]));
    assert_eq!(zendesk["api_key"]["inputs"][0]["name"], "subdomain");
    assert_eq!(zendesk["oauth"]["missing"], "set client_id and client_secret in [providers.zendesk]");
    let robot = get(&format!("{PATH}/robot")).send().await.is(200).json();
    assert_eq!((&robot["supports_oauth"], &robot["oauth"]["grants"]), (&json!(false), &json!(["client_credentials"])));
    assert_eq!(
        (&robot["notes"], &robot["oauth"]["register_url"]),
        (&json!(["For machines."]), &json!("https://robot.example/apps"))
    );
    let login = server.post("/v1/integrations/robot/oauth/initiate").key(&server.key);
    let refused = login.json(&json!({"callback_url": CALLBACK})).send().await.is(404);
    assert_eq!(refused.detail(), "Provider 'robot' does not support OAuth");

    assert_eq!(reply.header("Cache-Control"), Some("no-store"), "only the list may be kept");
    let unknown = get(&format!("{PATH}/githup")).send().await.is(404);
    assert_eq!(unknown.detail(), "Provider 'githup' not found");
    assert_eq!(unknown.json()["did_you_mean"], "github");
    server.get(&format!("{PATH}/github")).send().await.is(401);
    assert_eq!(get(&format!("{PATH}/credentials")).send().await.is(200).json(), json!([]), "a list, as ever");
}

#[tokio::test]
async fn secrets_lose_line_ends_and_blank_ones_are_refused() {
    const PATH: &str = "/v1/integrations/openai/credentials";
    let server = Server::start().await;
    let create = |key: &str| {
        // Programs on Windows begin a file with a byte order mark.
        let body = json!({"type": "api_key", "title": "t", "api_key": key}).to_string();
        server.post(PATH).key(&server.key).bytes(format!("\u{feff}{body}\r\n"))
    };
    let id = create("\u{feff}\r\nsk-first\r\n").send().await.is(201).json()["id"].as_str().unwrap().to_owned();
    let secret = async || {
        let reply = server.get(&format!("{PATH}/{id}/token")).key(&server.key).send().await;
        reply.is(200).json()["api_key"].as_str().unwrap().to_owned()
    };
    assert_eq!(secret().await, "sk-first");
    let change = |key: &str| {
        server.ask(Method::PATCH, &format!("{PATH}/{id}")).key(&server.key).json(&json!({"api_key": key})).send()
    };
    change("sk-second\n").await.is(200);
    assert_eq!(secret().await, "sk-second");
    for blank in ["", " ", "\r\n", "\u{feff}", "\t \n"] {
        create(blank).send().await.is(422);
        change(blank).await.is(422);
        let body = json!({"type": "user_password", "title": "t", "username": "u", "password": blank});
        server.post("/v1/integrations/smtp/credentials").key(&server.key).json(&body).send().await.is(422);
        let body = json!({"type": "host_scoped", "title": "t", "host": "a.example", "headers": {"X-Key": blank}});
        server.post(CREATE).key(&server.key).json(&body).send().await.is(422);
    }
}
