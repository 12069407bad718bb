//! URLs that depend on the customer: what the caller gives at initiate, what the callback brings, and where it may lead.

use crate::support::Server;
use crate::support::flow::CALLBACK;
use crate::support::http::Reply;
use crate::support::provider::recording::Recording;
use serde_json::{Value, json};

const TENANT: &str = r#"authorize_url = "BASE/{tenant}/authorize"
token_url = "BASE/{tenant}/token"
rename = { client_id = "client_key" }
token_auth = "post"
identity = { url = "BASE/{tenant}/me", username = "/name" }
revoke = { url = "BASE/{tenant}/revoke" }
inputs.tenant = { pattern = "[a-z0-9 ]+", example = "my tenant" }"#;

async fn initiate(server: &Server, inputs: &Value) -> Reply {
    let body = json!({"callback_url": CALLBACK, "inputs": inputs});
    server.post("/v1/integrations/acme/oauth/initiate").key(&server.key).json(&body).send().await
}

#[tokio::test]
async fn bad_input_is_422_with_its_name_and_an_example() {
    let acme = Recording::start().await;
    let server = acme.server(TENANT).await;
    for (inputs, kind, place) in [
        (json!({}), "missing", json!(["body", "inputs", "tenant"])),
        (json!({"tenant": "../evil"}), "value_error", json!(["body", "inputs", "tenant"])),
        (json!({"tenant": 1}), "string_type", json!(["body", "inputs", "tenant"])),
        (json!({"tenent": "t"}), "missing", json!(["body", "inputs", "tenant"])),
        (json!([]), "dict_type", json!(["body", "inputs"])),
    ] {
        let fault = initiate(&server, &inputs).await.is(422).json()["detail"][0].clone();
        assert_eq!((&fault["type"], &fault["loc"]), (&json!(kind), &place), "{inputs}");
        let message = fault["msg"].as_str().unwrap();
        assert!(!message.contains("evil"), "what was sent is not said back: {message}");
        if kind != "string_type" && place[2] == "tenant" {
            assert!(message.contains("\"my tenant\""), "{message}");
        }
    }
}

#[tokio::test]
async fn provider_list_names_the_inputs() {
    let acme = Recording::start().await;
    let more = "\ninputs.host = { from = \"callback\", hosts = [\"a.example.com\"], example = \"a.example.com\" }\n\
                api_base_url = \"https://{host}/\"\ncallback_metadata = [\"host\"]";
    let server = acme.server(&format!("{TENANT}{more}")).await;
    let list = server.get("/v1/integrations/providers").key(&server.key).send().await.is(200).json();
    let of = |name: &str| list.as_array().unwrap().iter().find(|provider| provider["name"] == name).unwrap().clone();
    let tenant = json!({"name": "tenant", "optional": false, "pattern": "[a-z0-9 ]+", "example": "my tenant"});
    assert_eq!(of("acme")["inputs"], json!([tenant]));
    assert_eq!((&of("github")["inputs"], &of("github")["category"]), (&json!([]), &json!("developer-tools")));
}

#[tokio::test]
async fn input_reaches_every_request_of_the_flow() {
    let acme = Recording::start().await;
    let server = acme.server(TENANT).await;
    acme.says("/a%20b/token", &json!({"access_token": "at", "token_type": "bearer"}));
    acme.says("/a%20b/me", &json!({"name": "Ann"}));
    acme.says("/a%20b/revoke", &json!({}));
    let started = initiate(&server, &json!({"tenant": "a b"})).await.is(200).json();
    let login_url = started["login_url"].as_str().unwrap();
    assert!(login_url.starts_with(&format!("{}/a%20b/authorize?", acme.base)), "{login_url}");
    assert!(login_url.contains("&client_key=my%20id&") && !login_url.contains("client_id="), "{login_url}");
    let completed = server.complete_acme(&server.key, started["state_token"].as_str().unwrap()).await.is(200);
    assert_eq!(completed.json()["username"], "Ann");
    let token = acme.asked("/a%20b/token").pop().unwrap();
    assert_eq!((token.param("client_key").as_deref(), token.param("client_id")), (Some("my id"), None));
    assert_eq!(server.delete_acme(&completed).await, true);
    assert_eq!(acme.asked("/a%20b/revoke").len(), 1);
    assert_eq!(acme.asked("/a%20b/revoke")[0].param("client_key").as_deref(), Some("my id"));
}

#[tokio::test]
async fn scopes_of_the_callback_count_where_the_entry_says_so() {
    for (further, scopes) in [("", json!(["a", "b"])), ("\ncallback_scope = \"scope\"", json!(["a"]))] {
        let acme = Recording::start().await;
        let server = acme.server(&format!("scope_separator = \",\"{further}")).await;
        acme.says("/token", &json!({"access_token": "at", "token_type": "bearer"}));
        let begin = json!({"callback_url": CALLBACK, "scopes": ["a", "b"]});
        let started = server.post("/v1/integrations/acme/oauth/initiate").key(&server.key).json(&begin).send().await;
        let body = json!({
            "code": "c", "state_token": started.is(200).json()["state_token"], "callback_params": {"scope": "a"},
        });
        let completed = server.post("/v1/integrations/acme/oauth/complete").key(&server.key).json(&body).send().await;
        assert_eq!(completed.is(200).json()["scopes"], scopes, "{further}");
    }
}
