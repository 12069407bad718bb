//! Permissions: every route, every subset of the permissions, service keys and their users.

use crate::support::Server;
use http::Method;
use serde_json::json;
use strongroom::http::routes;
use strongroom::permission::{Permission, Permissions};

#[tokio::test]
async fn each_route_needs_its_permission_and_no_other() {
    let server = Server::start().await;
    for bits in 0..1_u8 << Permission::ALL.len() {
        let held: Vec<Permission> =
            Permission::ALL.into_iter().enumerate().filter(|(i, _)| bits & 1 << i != 0).map(|(_, p)| p).collect();
        let key = if held.is_empty() { None } else { Some(server.key_with(&held).await) };
        for route in routes::table() {
            let path = route.example_path();
            let mut ask = server.ask(route.method.clone(), &path);
            if let Some(key) = &key {
                ask = ask.key(key);
            }
            let status = ask.send().await.status;
            match route.permission {
                None => assert!(status != 401 && status != 403, "{} {path}: {status}", route.method),
                Some(_) if key.is_none() => assert_eq!(status, 401, "{} {path}", route.method),
                Some(wanted) if held.iter().copied().collect::<Permissions>().contains(wanted) => {
                    assert!(status != 401 && status != 403, "{} {path} with {held:?}: {status}", route.method);
                }
                Some(_) => assert_eq!(status, 403, "{} {path} with {held:?}", route.method),
            }
        }
    }
}

/// The permission of each route is fixed by the page, because the test above takes it from the table of routes itself.
#[test]
fn permissions_are_those_of_the_api_page() {
    let page = include_str!("../../docs/api.md");
    for route in routes::table() {
        let Some(permission) = route.permission else { continue };
        let (method, permission) = (&route.method, permission.name());
        let path = route.pattern.trim_start_matches("/v1/integrations");
        let [row, sentence] = ["` | `", "` (`"].map(|between| format!("`{method} {path}{between}{permission}`"));
        assert!(page.contains(&row) || page.contains(&sentence), "docs/api.md lacks {row}");
    }
}

#[tokio::test]
async fn user_ids_are_visible_ascii_without_a_star() {
    let server = Server::start().await;
    let service = server.service_key(&[]).await;
    let path = "/v1/integrations/openai/credentials";
    let body = json!({"type": "api_key", "api_key": "k", "title": "t"});
    let visible: String = ('!'..='~').filter(|c| *c != '*').collect();
    for user in ["q+Zr/8==", "-x", "~a|b:c@d", "a%2Fb", &visible, &"x".repeat(255)] {
        let made = server.post(path).key(&service).header("Strongroom-User", user).json(&body).send().await.is(201);
        let id = made.json()["id"].as_str().unwrap().to_owned();
        let list = server.get("/v1/integrations/credentials").key(&service).header("Strongroom-User", user);
        let listed = list.send().await.is(200).json();
        assert_eq!((listed.as_array().unwrap().len(), &listed[0]["id"]), (1, &json!(id)), "{user}");
        let own = server.key_of(user).await;
        server.get(&format!("{path}/{id}/token")).key(&own).send().await.is(200);
    }
    for bad in ["a*", "a b", "", &"x".repeat(256)] {
        let said = server.post(path).key(&service).header("Strongroom-User", bad).json(&body).send().await.is(400);
        assert!(said.text().contains("255 visible ASCII"), "{}", said.text());
    }
}

#[tokio::test]
async fn service_key_acts_for_the_user_in_the_header() {
    let server = Server::start().await;
    let service = server.service_key(&[]).await;
    let path = "/v1/integrations/openai/credentials";
    let body = json!({"type": "api_key", "api_key": "k", "title": "t"});
    server.post(path).key(&service).header("Strongroom-User", "carol").json(&body).send().await.is(201);
    let list =
        |user: &str| server.get("/v1/integrations/credentials").key(&service).header("Strongroom-User", user).send();
    assert_eq!(list("carol").await.is(200).json().as_array().unwrap().len(), 1);
    assert_eq!(list("dave").await.is(200).json(), json!([]));
    server.get("/v1/integrations/credentials").key(&service).send().await.is(400);
    list("not a user").await.is(400);
}

#[tokio::test]
async fn user_key_with_a_user_header_is_rejected() {
    let server = Server::start().await;
    let ask = server.get("/v1/integrations/credentials").key(&server.key);
    ask.header("Strongroom-User", "alice").send().await.is(403);
}

#[tokio::test]
async fn service_key_can_be_limited_to_some_users() {
    let server = Server::start().await;
    let service = server.service_key(&["team-a-*", "boss"]).await;
    let list =
        |user: &str| server.get("/v1/integrations/credentials").key(&service).header("Strongroom-User", user).send();
    for user in ["team-a-1", "boss"] {
        list(user).await.is(200);
    }
    for user in ["team-b-1", "bosss", "xteam-a-1"] {
        list(user).await.is(403);
    }
}

#[tokio::test]
async fn authentication_precedes_permission_and_body() {
    let server = Server::start().await;
    let path = "/v1/integrations/sandbox/oauth/initiate";
    let reader = server.key_with(&[Permission::ReadIntegrations]).await;
    server.ask(Method::POST, path).bytes("{").send().await.is(401);
    server.ask(Method::POST, path).key(&reader).bytes("{").send().await.is(403);
    server.ask(Method::POST, path).key(&server.key).bytes("{").send().await.is(422);
}
