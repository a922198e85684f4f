"""The template of a destination in docs/plugins.md keeps the behaviour it is to be copied for."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from nexuslims_shared.network import Network
from nexuslims_uploader.testing import Answer, DestinationBehaviour, FakeServer, Request

PAGE = Path(__file__).parents[3] / "docs" / "plugins.md"


@pytest.fixture
def template(tmp_path: Path) -> dict[str, Any]:
    """The names that the template defines."""
    section = PAGE.read_text(encoding="utf-8").partition("\n## Destinations\n")[2]
    code = re.search(r"```python\n(.*?class AcmeSettings.*?)```", section, re.DOTALL)
    assert code is not None
    (tmp_path / "acme.py").write_text(code[1])
    return runpy.run_path(str(tmp_path / "acme.py"))


class FakeAcme(FakeServer):
    """Keeps what is put."""

    def __init__(self) -> None:
        super().__init__()
        self.records: dict[str, bytes] = {}

    def handle(self, request: Request) -> Answer:
        session = request.path.rpartition("/")[2]
        if request.method == "PUT":
            self.records[session] = request.body
        if request.method == "DELETE" and self.records.pop(session, None) is None:
            return Answer.json(404, {"message": "no such record"})
        if request.method == "GET" and session != "me":
            there = self.records.get(session)
            return Answer(404) if there is None else Answer(200, there, "text/xml")
        return Answer.json(200, {})


class TestTemplate(DestinationBehaviour):
    @pytest.fixture
    async def acme(self):
        async with FakeAcme().running() as server:
            yield server

    @pytest.fixture
    async def destination(self, acme, template):
        settings = template["AcmeSettings"](url=acme.url, token="abc")  # noqa: S106 - a fake's
        made = template["AcmeDestination"](settings, Network())
        yield made
        await made.close()

    @pytest.fixture
    def held(self, acme):
        return lambda: {session: [xml] for session, xml in acme.records.items()}
