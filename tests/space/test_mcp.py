"""The endpoints as tools, asked by a real MCP client."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

pytest.importorskip("mcp", reason="gradio[mcp] is not installed")


def test_an_assistant_finds_the_tools_and_composes(server):
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def talk():
        async with (
            streamable_http_client(f"{server}/gradio_api/mcp/") as (read, write, _),
            ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = {tool.name: tool for tool in (await session.list_tools()).tools}
            asked = {"key": "E minor", "voices": "2", "max_tokens": 80, "seed": 4}
            made = await session.call_tool("compose", asked)
            wrong = await session.call_tool("compose", {"subject": "C5/8 H5/8"})
            return tools, made, wrong

    # In a thread of its own: the browser of other tests keeps a loop running in this one.
    with ThreadPoolExecutor(1) as thread:
        tools, made, wrong = thread.submit(asyncio.run, talk()).result(120)
    assert set(tools) == {"compose", "continue_piece", "harmonize", "revise", "perform", "assess"}
    compose = tools["compose"]
    assert compose.description.startswith("Compose a piece in the style of Bach")
    properties = compose.inputSchema["properties"]
    assert properties["form"]["enum"] == ["any", "prelude", "fugue"]
    assert all(value.get("description") for value in properties.values())
    assert not made.isError
    text = " ".join(part.text for part in made.content if part.type == "text")
    assert "E minor" in text
    assert "seed" in text
    assert wrong.isError
    assert "'H5/8' is no note" in json.dumps([part.model_dump(mode="json") for part in wrong.content])
