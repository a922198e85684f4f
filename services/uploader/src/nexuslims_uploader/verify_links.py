"""Asking for the links of records, as readers' browsers do: previews, metadata, raw files, pages.

A front-end such as CDCS puts the paths in a record behind addresses that it is configured with; the
settings have the same two. Only the head of an answer is asked for, so that nothing comes back from
tape.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import httpx

from nexuslims_contracts.record.model import Experiment
from nexuslims_contracts.record.texts import as_path
from nexuslims_shared.network import Network, tls_context
from nexuslims_shared.settings import Settings, read
from nexuslims_uploader.findings import LINKS, Finding

_PREVIEW: Final = ".thumb.png"
_GONE: Final = frozenset({404, 410})


class LinkVerifier:
    """Asks for links, one after the other.

    Parameters
    ----------
    settings
        The facility's: where its data are served.
    transport
        Another way to the servers, for tests.
    """

    def __init__(
        self, settings: Settings, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._data = settings.data_url.rstrip("/")
        self._instrument_data = settings.instrument_data_url.rstrip("/")
        self._transport = transport

    async def look(
        self, session: str, experiment: Experiment, pages: Iterable[str]
    ) -> list[Finding]:
        """Ask for the links of a session's record; return those that do not answer.

        A server that is away is one finding, and no more of its links are asked for.

        Parameters
        ----------
        session
            Its token.
        experiment
            What the record says.
        pages
            Addresses of the record at destinations.
        """
        findings, away = list[Finding](), set[str]()
        network = read(Network)
        async with httpx.AsyncClient(
            timeout=network.http_timeout, verify=tls_context(network), transport=self._transport
        ) as client:
            for link in dict.fromkeys((*self._links(experiment), *pages)):
                address = httpx.URL(link)
                if address.host in away:
                    continue
                finding = await _ask(client, session, link)
                if finding is not None:
                    findings.append(finding)
                    if finding.problem == "unknown":
                        away.add(address.host)
        return findings

    def _links(self, experiment: Experiment) -> Iterator[str]:
        for dataset in experiment.datasets():
            if self._data:
                yield from (f"{self._data}{as_path(path)}" for path in dataset.previews[:1])
                base = dataset.previews[0] if dataset.previews else dataset.location
                yield f"{self._data}{as_path(f'{base.removesuffix(_PREVIEW)}.json')}"
            if self._instrument_data:
                yield f"{self._instrument_data}{as_path(dataset.location)}"


def links_are_known(settings: Settings) -> bool:
    """Tell whether the settings say where links lead.

    Parameters
    ----------
    settings
        The facility's.
    """
    return bool(settings.data_url or settings.instrument_data_url)


async def _ask(client: httpx.AsyncClient, session: str, link: str) -> Finding | None:
    try:
        status = (await client.head(link)).status_code
    except httpx.RequestError as error:
        what = str(error) or type(error).__name__
        return Finding(session, LINKS, "unknown", f"its server does not answer: {what}", path=link)
    if status in _GONE:
        return Finding(session, LINKS, "missing", f"it is answered with {status}", path=link)
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return Finding(session, LINKS, "unknown", f"it is answered with {status}", path=link)
    return None
