"""The client that openapi-generator writes for Python, through the seven endpoints and the token endpoint.

Usage: generated.py URL API_KEY, with the generated package on PYTHONPATH. Prints the login URL, and reads
the URL of the callback.
"""

import sys
from urllib.parse import parse_qs, urlsplit

from openapi_client import (
    ApiClient,
    Configuration,
    CreateApiKey,
    CreateCredentialRequest,
    CreateHostScoped,
    CreateUserPassword,
    IntegrationsApi,
    OAuthCompleteRequest,
    OAuthInitiateRequest,
)
from openapi_client.exceptions import ApiException

CALLBACK = "http://localhost:3000/callback"


def connect(api):
    request = OAuthInitiateRequest(
        callback_url=CALLBACK, scopes=["profile", "notes.read"], state_metadata={"tab": 7}
    )
    begun = api.post_v1_integrations_provider_oauth_initiate("sandbox", request)
    print(begun.login_url, flush=True)
    parameters = {name: values[0] for name, values in parse_qs(urlsplit(input()).query).items()}
    code, state = parameters.pop("code"), parameters.pop("state")
    assert state == begun.state_token
    request = OAuthCompleteRequest(code=code, state_token=state, callback_params=parameters)
    completed = api.post_v1_integrations_provider_oauth_complete("sandbox", request)
    assert (completed.type, completed.state_metadata) == ("oauth2", {"tab": 7})
    assert completed.scopes == ["profile", "notes.read"]
    return completed.credentials_id


def secret(api, provider, credential):
    return api.get_v1_integrations_provider_credentials_cred_id_token(provider, credential).actual_instance


def main():
    url, api_key = sys.argv[1:]
    api = IntegrationsApi(ApiClient(Configuration(host=url, api_key={"apiKey": api_key})))
    providers = {provider.name: provider for provider in api.get_v1_integrations_providers()}
    assert providers["sandbox"].supports_oauth and providers["openai"].supports_api_key

    connected = connect(api)
    assert secret(api, "sandbox", connected).access_token
    stored = {
        "openai": CreateApiKey(type="api_key", title="key", api_key="sk-1", expires_at=None),
        "smtp": CreateUserPassword(type="user_password", title="mail", username="u", password="p"),
        "http": CreateHostScoped(type="host_scoped", title="host", host="*.example.com", headers={"X-A": "1"}),
    }
    ids = {"sandbox": connected}
    for provider, body in stored.items():
        created = api.post_v1_integrations_provider_credentials(provider, CreateCredentialRequest(body))
        assert (created.provider, created.title) == (provider, body.title)
        ids[provider] = created.id
    assert secret(api, "openai", ids["openai"]).api_key == "sk-1"
    assert secret(api, "smtp", ids["smtp"]).password == "p"
    assert secret(api, "http", ids["http"]).headers == {"X-A": "1"}

    assert [one.id for one in api.get_v1_integrations_credentials()] == list(ids.values())
    assert [one.host for one in api.get_v1_integrations_provider_credentials("http")] == ["*.example.com"]
    for provider, credential in ids.items():
        deleted = api.delete_v1_integrations_provider_credentials_cred_id(provider, credential)
        assert deleted.deleted and deleted.revoked == (True if provider == "sandbox" else None)
    try:
        secret(api, "sandbox", connected)
        raise AssertionError("the credential is deleted")
    except ApiException as error:
        assert error.status == 404 and error.data.type == "/problems/credential-not-found"


main()
