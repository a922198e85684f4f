"""The part of nats-server's configuration that says who may do what.

A permission says on which subjects a user may publish, but not where the answer goes: the server
publishes that by itself, on whatever subject the question names. So each user but the operator has
an account of its own, into which only the subjects of its rights are imported from the account that
has the streams. An answer comes back into the asker's account, where no other subject leads on.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from nexuslims_shared.accounts.access import inboxes_of
from nexuslims_shared.accounts.rights import OPERATOR, Rights, rights_of

ACCOUNT: Final = "NEXUS"
"""The account that has the streams."""

_PATIENCE_S: Final = 10
"""How long a client may take to prove who it is; a busy machine is not an intruder."""

_ANSWERED_OFTEN: Final = ("$JS.API.CONSUMER.MSG.NEXT.", "$JS.API.DIRECT.GET.")
"""Questions that one message does not answer."""


def authorization(public_keys: Mapping[str, str], *, periods: bool = False) -> str:
    """Return the blocks ``authorization`` and ``accounts``: only these users are let in.

    Parameters
    ----------
    public_keys
        The key of each user, by name.
    periods
        Whether the log has periods, whose streams a service creates.
    """
    accounts = {
        user.upper(): _account(key, rights_of(user, inboxes_of(key), periods=periods))
        for user, key in public_keys.items()
        if user != OPERATOR
    }
    imported = {one["service"]["subject"] for each in accounts.values() for one in each["imports"]}
    accounts[ACCOUNT] = {
        "jetstream": "enabled",
        "users": [{"nkey": public_keys[OPERATOR]}] if OPERATOR in public_keys else [],
        "exports": [_export(subject) for subject in sorted(imported)],
    }
    texts = ",\n".join(f"  {name}: {json.dumps(one)}" for name, one in accounts.items())
    return f"authorization {{\n  timeout: {_PATIENCE_S}\n}}\naccounts {{\n{texts}\n}}\n"


def _account(public_key: str, rights: Rights) -> dict[str, Any]:
    permissions = {
        "publish": {"allow": rights.publish, "deny": rights.denied},
        "subscribe": {"allow": rights.subscribe},
    }
    return {
        "users": [{"nkey": public_key, "permissions": permissions}],
        "imports": [
            {"service": {"account": ACCOUNT, "subject": subject}} for subject in rights.publish
        ],
    }


def _export(subject: str) -> dict[str, Any]:
    often = subject.startswith(_ANSWERED_OFTEN)
    return {"service": subject, "response_type": "stream" if often else "single"}
