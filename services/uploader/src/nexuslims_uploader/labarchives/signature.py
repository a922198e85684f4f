"""Signed calls, one after the other, with a pause between them.

References
----------
LabArchives' API: the string to sign is the access key id, the name of the method and the time in
milliseconds; it is signed by HMAC-SHA-512 with the access password, and written in base64. The
terms of use ask for at least a second between calls.
"""

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import AsyncGenerator, Callable
from typing import Final

import httpx

from nexuslims_uploader.labarchives.settings import LabarchivesSettings

_MILLISECONDS: Final = 1000


def sign(key_id: str, password: str, method: str, expires: str) -> str:
    """Sign a call.

    Parameters
    ----------
    key_id, password
        Access key id and access password.
    method
        Name of the method alone, such as ``insert_node``.
    expires
        The time of the call, in milliseconds since 1970.
    """
    text = f"{key_id}{method}{expires}".encode()
    return base64.b64encode(hmac.digest(password.encode(), text, hashlib.sha512)).decode()


class SignedTurns(httpx.Auth):
    """Lets calls through one by one, each signed anew when its turn comes, repeated ones too.

    Parameters
    ----------
    settings
        Who we are, and how long the pause is.
    now
        The time, in seconds since 1970.
    """

    def __init__(self, settings: LabarchivesSettings, now: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._now = now
        self._turn = asyncio.Lock()
        self._free_at = 0.0

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Wait for the turn, and sign; see the base."""
        async with self._turn:
            await self.rest()
            request.url = request.url.copy_merge_params(self._credentials(request.url))
            try:
                yield request
            finally:
                self._free_at = time.monotonic() + self._settings.pause

    async def rest(self) -> None:
        """Wait until the next call may be made."""
        await asyncio.sleep(max(0.0, self._free_at - time.monotonic()))

    def _credentials(self, url: httpx.URL) -> dict[str, str]:
        key_id = self._settings.access_key_id.get_secret_value()
        expires = str(int(self._now() * _MILLISECONDS))
        method = url.path.rpartition("/")[2]
        password = self._settings.access_password.get_secret_value()
        return {
            "akid": key_id,
            "expires": expires,
            "sig": sign(key_id, password, method, expires),
            "uid": self._settings.user_id.get_secret_value(),
        }
