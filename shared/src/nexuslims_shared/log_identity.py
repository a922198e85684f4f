"""Whose log it is, and which one.

The streams of events carry, as metadata, the id of the facility they belong to and an id of their
own, which is made with the first stream, and anew when a log is restored. So a service of another
facility can refuse to work, and who remembers positions of one log does not take them for those of
another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from nexuslims_shared.errors import ForeignLogError, SettingsError
from nexuslims_shared.settings import Settings, make_state_folder
from nexuslims_shared.store.period_directory import periods_there

if TYPE_CHECKING:
    from nats.js import JetStreamContext

_FACILITY: Final = "nexuslims-facility"
_LOG: Final = "nexuslims-log"
_FILE: Final = "facility"


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """Which log it is, and whose; empty as far as a release before did not say."""

    log: str = ""
    facility: str = ""


async def read_identity(jetstream: "JetStreamContext") -> LogIdentity | None:
    """Return which log a broker has; None if it has none.

    Parameters
    ----------
    jetstream
        A context on a live connection.
    """
    first = None
    for period in await periods_there(jetstream):
        config = (await jetstream.stream_info(period.stream)).config
        found = identity_in(config.metadata or {})
        if found.log:
            return found
        first = first or found
    return first


async def settle_identity(jetstream: "JetStreamContext", facility: str) -> LogIdentity:
    """Have all streams of a log say whose it is, and which; return that.

    Parameters
    ----------
    jetstream
        A context on a live connection; the streams must exist.
    facility
        The facility's id; none where nobody knows.

    Raises
    ------
    ForeignLogError
        If it is another facility's.
    """
    known = await read_identity(jetstream) or LogIdentity()
    require_own(known, facility)
    identity = LogIdentity(known.log or uuid4().hex, known.facility or facility)
    await write_identity(jetstream, identity)
    return identity


async def renew_identity(jetstream: "JetStreamContext", facility: str) -> None:
    """Have a log that was restored be another one: who remembers positions of it starts over.

    Parameters
    ----------
    jetstream
        A context on a live connection.
    facility
        The id of the facility that it belongs to from now on.
    """
    await write_identity(jetstream, LogIdentity(uuid4().hex, facility))


def require_own(identity: LogIdentity, facility: str, *, place: str = "NATS_URL") -> None:
    """Refuse the log of another facility.

    Parameters
    ----------
    identity
        Of the log.
    facility
        Our id; a log that names a facility is not ours while we have none.
    place
        The setting that says where the broker is, see :func:`setting_of_broker`.

    Raises
    ------
    ForeignLogError
        If it is another one's.
    """
    if not identity.facility or identity.facility == facility:
        return
    ours = f"this is '{facility}'" if facility else "this one has no id yet"
    raise ForeignLogError(
        f"the broker's log belongs to the facility '{identity.facility}', and {ours}: correct"
        f" {place}; or, if they are one facility, set NX_FACILITY={identity.facility}"
    )


def setting_of_broker(settings: Settings) -> str:
    """Name the setting that says where the broker is; the embedded one is in the state folder."""
    return "NATS_URL" if settings.nats_url else f"NX_STATE_PATH={settings.state_path}"


def facility_of(settings: Settings) -> str:
    """Return the facility's id: the one that is set, or made by ``provision``; else nothing."""
    if settings.facility:
        return settings.facility
    try:
        return (settings.state_path / _FILE).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{settings.state_path / _FILE} cannot be read ({error}): set NX_FACILITY"
        ) from error


def make_facility(settings: Settings) -> str:
    """Return the facility's id; make one and keep it in the state folder if there is none.

    Raises
    ------
    SettingsError
        If it cannot be kept.
    """
    if known := facility_of(settings):
        return known
    facility = f"facility-{uuid4().hex[:12]}"
    keep_facility(settings, facility)
    return facility


def keep_facility(settings: Settings, facility: str) -> None:
    """Keep the facility's id in the state folder, for whoever has none set.

    Parameters
    ----------
    settings
        Where the folder is.
    facility
        The id.

    Raises
    ------
    SettingsError
        If it cannot be kept.
    """
    path = make_state_folder(settings.state_path) / _FILE
    try:
        path.write_text(f"{facility}\n", encoding="ascii")
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be written ({error.strerror}): set NX_FACILITY to a name of your own"
        ) from error


async def write_identity(jetstream: "JetStreamContext", identity: LogIdentity) -> None:
    """Have all streams of events say which log they are, and whose.

    Parameters
    ----------
    jetstream
        A context on a live connection.
    identity
        Of the log.
    """
    added = {_LOG: identity.log, _FACILITY: identity.facility}
    for period in await periods_there(jetstream):
        config = (await jetstream.stream_info(period.stream)).config
        if identity_in(config.metadata or {}) != identity:
            config.metadata = {**(config.metadata or {}), **added}
            await jetstream.update_stream(config)


def identity_in(metadata: Mapping[str, str]) -> LogIdentity:
    """Return which log a stream is of, by the metadata of its configuration."""
    return LogIdentity(metadata.get(_LOG, ""), metadata.get(_FACILITY, ""))
