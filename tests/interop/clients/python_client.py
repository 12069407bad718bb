"""The client that openapi-python-client writes, through the seven endpoints and the token endpoint.

Usage: python_client.py URL API_KEY, with the generated package `strongroom_client` on PYTHONPATH. Prints the login
URL, and reads the URL of the callback.
"""

import sys
from urllib.parse import parse_qs, urlsplit

from strongroom_client import AuthenticatedClient
from strongroom_client.api.integrations import (
    delete_v1_integrations_provider_credentials_cred_id as delete,
    get_v1_integrations_credentials as list_all,
    get_v1_integrations_provider_credentials as list_one,
    get_v1_integrations_provider_credentials_cred_id_token as token,
    get_v1_integrations_providers as list_providers,
    post_v1_integrations_provider_credentials as create,
    post_v1_integrations_provider_oauth_complete as complete,
    post_v1_integrations_provider_oauth_initiate as initiate,
)
from strongroom_client.models import (
    CreateApiKey,
    CreateApiKeyType,
    CreateHostScoped,
    CreateHostScopedHeaders,
    CreateHostScopedType,
    CreateUserPassword,
    CreateUserPasswordType,
    OAuthCompleteRequest,
    OAuthInitiateRequest,
    OAuthInitiateRequestStateMetadata,
    Problem,
)

CALLBACK = "http://localhost:3000/callback"


def connect(client):
    metadata = OAuthInitiateRequestStateMetadata.from_dict({"tab": 7})
    request = OAuthInitiateRequest(callback_url=CALLBACK, scopes=["profile", "notes.read"], state_metadata=metadata)
    begun = initiate.sync("sandbox", client=client, body=request)
    print(begun.login_url, flush=True)
    parameters = {name: values[0] for name, values in parse_qs(urlsplit(input()).query).items()}
    code, state = parameters.pop("code"), parameters.pop("state")
    assert state == begun.state_token
    request = OAuthCompleteRequest.from_dict({"code": code, "state_token": state, "callback_params": parameters})
    completed = complete.sync("sandbox", client=client, body=request)
    assert (completed.type_, completed.state_metadata.to_dict()) == ("oauth2", {"tab": 7})
    assert completed.scopes == ["profile", "notes.read"]
    return completed.credentials_id


def main():
    url, api_key = sys.argv[1:]
    client = AuthenticatedClient(base_url=url, token=api_key)
    providers = {provider.name: provider for provider in list_providers.sync(client=client)}
    assert providers["sandbox"].supports_oauth and providers["openai"].supports_api_key

    connected = connect(client)
    assert token.sync("sandbox", connected, client=client).access_token
    stored = {
        "openai": CreateApiKey(type_=CreateApiKeyType.API_KEY, title="key", api_key="sk-1"),
        "smtp": CreateUserPassword(
            type_=CreateUserPasswordType.USER_PASSWORD, title="mail", username="u", password="p"
        ),
        "http": CreateHostScoped(
            type_=CreateHostScopedType.HOST_SCOPED,
            title="host",
            host="*.example.com",
            headers=CreateHostScopedHeaders.from_dict({"X-A": "1"}),
        ),
    }
    ids = {"sandbox": connected}
    for provider, body in stored.items():
        created = create.sync(provider, client=client, body=body)
        assert (created.provider, created.title) == (provider, body.title)
        ids[provider] = created.id
    assert token.sync("openai", ids["openai"], client=client).api_key == "sk-1"
    assert token.sync("smtp", ids["smtp"], client=client).password == "p"
    assert token.sync("http", ids["http"], client=client).headers.to_dict() == {"X-A": "1"}

    assert [one.id for one in list_all.sync(client=client)] == list(ids.values())
    assert [one.host for one in list_one.sync("http", client=client)] == ["*.example.com"]
    for provider, credential in ids.items():
        deleted = delete.sync(provider, credential, client=client)
        assert deleted.deleted and deleted.revoked == (True if provider == "sandbox" else None)
    gone = token.sync("sandbox", connected, client=client)
    assert isinstance(gone, Problem) and gone.type_ == "/problems/credential-not-found"


main()
