"""The fake CDCS answers as a real one did: the same status, the same shape.

``cdcs_exchanges.json`` was recorded from a CDCS: each exchange has its request, and of the answer
the status and the types of the values. Records in requests are replaced by our own.
"""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nexuslims_uploader.testing import small_record_xml
from nexuslims_uploader.testing.cdcs import FakeCdcs
from nexuslims_uploader.testing.cdcs.answers import template

HERE = Path(__file__).parent
WHOLE = small_record_xml().decode()
BODY = WHOLE[WHOLE.index("<Experiment") :]


def _exchanges() -> list[Any]:
    recorded = json.loads((HERE / "cdcs_exchanges.json").read_text(encoding="utf-8"))
    return [pytest.param(one, id=one["name"]) for one in recorded]


@pytest.fixture
async def cdcs() -> AsyncIterator[FakeCdcs]:
    async with FakeCdcs().running() as running:
        yield running


def shape(document: Any) -> Any:
    """Types instead of values; of a list, the first element's."""
    if isinstance(document, dict):
        return {key: shape(value) for key, value in document.items()}
    if isinstance(document, list):
        return [shape(document[0])] if document else []
    if isinstance(document, int) and not isinstance(document, bool):
        return "number"
    return type(document).__name__


def whole(name: str, xml: str) -> str:
    """Complete the XML of a request: ``WHOLE`` and ``BODY`` stand for our own record."""
    if xml == "WHOLE":
        return WHOLE
    if name == "xml-bad-enum":
        return WHOLE.replace('role="Experimental"', 'role="Nonsense"')
    if name == "xml-malformed":
        return WHOLE.replace("</Experiment>", "</Exper")
    if name.endswith("MB-distinct"):
        # a fifth of such a text counted: 2,184,048 bytes of the 10 MB
        count = int(float(name.split("-")[1].removesuffix("MB")) * 218_404 / 8)
        words = " ".join(f"{number:08x}" for number in range(count))
        return WHOLE.replace("<motivation>A title", f"<motivation>{words}")
    if name == "value-14":
        digits, _, _ = xml.partition("...[")
        return f"{digits}{'9' * 4300}</param></setup></acquisitionActivity></Experiment>"
    return xml.replace("BODY", BODY)


def furnish(cdcs: FakeCdcs, exchange: dict[str, Any]) -> None:
    """Let the server hold what the recorded one held, as far as the exchange shows it."""
    request, response = exchange["request"], exchange["response"]
    named = re.match(r"rest/data/(?:download/)?(\d+)", request["path"])
    if (named and response["status"] != 404) or "missing-workspace" in exchange["name"]:
        cdcs.put("held", WHOLE, id=int(named[1]) if named else 0)
    body = response["body"]
    listed = body.get("results", []) if isinstance(body, dict) else body
    if "query" in request["path"] or request["path"] == "rest/data/":
        for one in listed if isinstance(listed, list) else []:
            cdcs.put(one["title"], WHOLE, workspace=one["workspace"], id=one["id"])
    if "rest/blob" in request["path"] and request["method"] != "POST":
        cdcs.blobs[cdcs.put_blob("x.thumb.png", b"\x89PNG")].workspace = 1
    if "metadata" in request["path"]:
        cdcs.put_blob("x.thumb.png", b"\x89PNG")
        cdcs.put("held", WHOLE, id=2)
    if "two" in exchange["name"]:
        cdcs.templates.append(template(2, "AAA other schema"))
    if "after" in exchange["name"] and "template" in request["path"]:
        cdcs.templates[0]["versions"].append("3")


def content(exchange: dict[str, Any]) -> dict[str, Any]:
    """Return what was sent, as httpx takes it."""
    name, request = exchange["name"], exchange["request"]
    if name == "not-json":
        return {"content": b"{nonsense"}
    if name == "gzip-body":
        return {"content": b"\x1f\x8b\x08\x00"}
    if name == "blob-create":
        return {"files": {"blob": ("x.thumb.png", b"\x89PNG")}}
    document = request["json"]
    if isinstance(document, dict) and "xml_content" in document:
        document = {**document, "xml_content": whole(name, document["xml_content"])}
    return {"json": document} if document is not None else {}


async def replay(cdcs: FakeCdcs, exchange: dict[str, Any]) -> httpx.Response:
    request = exchange["request"]
    tokens = {"admin": "admin-token", "user": "user-token", "bad": "nonsense"}
    token = tokens.get(request["as"])
    headers = {"Authorization": f"Token {token}"} if token else {}
    async with httpx.AsyncClient(base_url=cdcs.url, headers=headers, timeout=30) as client:
        return await client.request(
            request["method"], request["path"], params=request["params"], **content(exchange)
        )


def shape_of(response: httpx.Response) -> Any:
    if "json" in response.headers.get("content-type", ""):
        return shape(response.json())
    return bool(response.content)


@pytest.mark.parametrize("exchange", _exchanges())
async def test_as_recorded(cdcs, exchange) -> None:
    furnish(cdcs, exchange)
    response = await replay(cdcs, exchange)
    assert response.status_code == exchange["response"]["status"], response.text[:300]
    assert shape_of(response) == exchange["response"]["shape"]
