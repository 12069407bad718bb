"""A gRPC server that answers only calls with the secret: `grpc_origin.py PORT KEY CERTIFICATE`; it reads the secret from
standard input, and prints a line when it serves, and one for each call."""

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc

port, key, certificate = sys.argv[1:]
secret = sys.stdin.readline().strip()


def admit(context):
    authorization = dict(context.invocation_metadata()).get("authorization")
    is_accepted = authorization == f"Bearer {secret}"
    print("accepted" if is_accepted else "refused", flush=True)
    if not is_accepted:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "no secret")


def once(request, context):
    admit(context)
    return request


def each(requests, context):
    admit(context)
    count = 0
    for request in requests:
        count += 1
        yield request
    context.set_trailing_metadata([("origin-sum", str(count))])


server = grpc.server(ThreadPoolExecutor(4))
methods = {"Once": grpc.unary_unary_rpc_method_handler(once), "Each": grpc.stream_stream_rpc_method_handler(each)}
server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("origin.Echo", methods)])
credentials = grpc.ssl_server_credentials([(open(key, "rb").read(), open(certificate, "rb").read())])
assert server.add_secure_port(f"127.0.0.1:{port}", credentials) == int(port)
server.start()
print("serving", flush=True)
server.wait_for_termination()
