"""Sends a GET request with a credential that this program never sees.

    export STRONGROOM_URL=http://127.0.0.1:8484 STRONGROOM_API_KEY=srk_...
    python3 examples/agent.py github /user

The API key needs the permission PROXY_INTEGRATIONS. Python's standard library is enough.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request

SERVER = os.environ.get("STRONGROOM_URL", "http://127.0.0.1:8484").rstrip("/")


def ask(path):
    """Returns status, headers and text of a GET request to Strongroom."""
    request = urllib.request.Request(SERVER + path, headers={"X-API-Key": os.environ["STRONGROOM_API_KEY"]})
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.headers, response.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.headers, refused.read().decode()


def credential_of(provider):
    """Returns the id of the first credential of the provider that the API key may use."""
    status, _, text = ask("/v1/proxy/destinations")
    if status != 200:
        sys.exit(f"Strongroom answered {status}: {text}")
    for credential, name in json.loads(text)["providers"].items():
        if name == provider:
            return credential
    sys.exit(f"this API key may use no credential of {provider}")


def get(credential, path):
    """Sends the request, and again while a person has not yet decided about it."""
    while True:
        status, headers, text = ask(f"/v1/proxy/{credential}{path}")
        # Answers of Strongroom have this header. Answers of the provider never do.
        problem = headers.get("Strongroom-Problem")
        if problem != "/problems/approval-pending":
            return status, problem, text
        print("a person has to approve this request", file=sys.stderr)
        time.sleep(int(headers["Retry-After"]))


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    provider, path = sys.argv[1:]
    status, problem, text = get(credential_of(provider), path)
    if problem:
        sys.exit(f"Strongroom refused the request ({problem}): {text}")
    print(text)
    if status >= 400:
        sys.exit(f"{provider} answered {status}")


main()
