"""A server that leads elsewhere: whoever listens there is never given what lets us in."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nexuslims_harvester.calendar import Window
from nexuslims_harvester.errors import CalendarUnavailableError
from nexuslims_harvester.ics.calendar import IcsCalendar
from nexuslims_harvester.nemo.calendar import NemoCalendar

WINDOW = Window(datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 4, 1, tzinfo=UTC))
CALENDAR = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nEND:VCALENDAR\r\n"


class Listener(ThreadingHTTPServer):
    """Remembers what it was asked; leads on if it is told where to."""

    def __init__(self, leads_to: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.leads_to = leads_to
        self.heard: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Listener)
        self.server.heard.append(f"{self.path}\n{self.headers}")
        self.send_response(302 if self.server.leads_to else 200)
        if self.server.leads_to:
            self.send_header("Location", self.server.leads_to)
        self.end_headers()
        self.wfile.write(CALENDAR)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def listening(leads_to: str = "") -> Iterator[Listener]:
    with Listener(leads_to) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


async def test_a_redirect_of_nemo_is_not_followed(nemo_settings, titan, monkeypatch) -> None:
    with listening() as elsewhere, listening(elsewhere.address) as server:
        monkeypatch.setenv("NX_NEMO_ADDRESS_1", f"{server.address}api/")
        calendar = NemoCalendar("nemo-1", nemo_settings, {titan.pid: titan})
        with pytest.raises(CalendarUnavailableError, match="correct NX_NEMO_ADDRESS_1") as caught:
            await calendar.entries(WINDOW)
    assert len(server.heard) == 1
    assert elsewhere.heard == []
    assert "0123456789abcdef" not in str(caught.value)


async def test_a_redirect_of_an_icalendar_carries_no_password(settings, titan, monkeypatch) -> None:
    with listening() as elsewhere, listening(elsewhere.address) as server:
        address = server.address.replace("://", "://ned:hidden@") + "cal.ics?key=hidden"
        monkeypatch.setenv("NX_ICS_ADDRESS_1", address)
        room = titan.model_copy(update={"calendar": "ics-1"})
        assert await IcsCalendar("ics-1", settings, {room.pid: room}).entries(WINDOW) == []
    (first,), (second,) = server.heard, elsewhere.heard
    password = base64.b64encode(b"ned:hidden").decode()
    assert password in first, "the server itself is given it"
    assert "authorization" not in second.lower()
    assert not any(secret in second for secret in ("hidden", password))
