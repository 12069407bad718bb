"""A client of Strongroom's own MCP server on the official Python SDK, `mcp` 1.x or 2.x.

Usage: sdk_client.py MCP_URL BINARY URL CREDENTIAL UNKNOWN, with STRONGROOM_API_KEY.
Prints a list with what the server said over HTTP and over standard input and output.
"""

import asyncio
import json
import os
import sys

from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

mcp_url, binary, url, credential, unknown = sys.argv[1:]
key = os.environ["STRONGROOM_API_KEY"]


async def use(streams):
    async with ClientSession(streams[0], streams[1]) as session:
        await session.initialize()
        listed = await session.list_tools()
        called = await session.call_tool("http_get", {"credential": credential, "path": "/x"})
        refused = await session.call_tool("http_get", {"credential": unknown, "path": "/x"})
        try:
            await session.call_tool("get_token", {})
            is_unknown = False
        except Exception as error:
            is_unknown = "no such tool" in str(error)
        return {
            "tools": sorted(tool.name for tool in listed.tools),
            "text": called.content[0].text,
            "refused": refused.content[0].text,
            "unknown": is_unknown,
        }


async def main():
    results = []
    async with create_mcp_http_client(headers={"Authorization": f"Bearer {key}"}) as http:
        async with streamable_http_client(mcp_url, http_client=http) as streams:
            results.append(await use(streams))
    server = StdioServerParameters(command=binary, args=["mcp", "--url", url], env={"STRONGROOM_API_KEY": key})
    async with stdio_client(server) as streams:
        results.append(await use(streams))
    print(json.dumps(results))


asyncio.run(main())
