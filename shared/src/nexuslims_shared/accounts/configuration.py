"""The part of nats-server's configuration that says who may do what."""

import json
from collections.abc import Mapping
from typing import Any, Final

from nexuslims_shared.accounts.access import inboxes_of
from nexuslims_shared.accounts.rights import rights_of

_PATIENCE_S: Final = 10
"""How long a client may take to prove who it is; a busy machine is not an intruder."""


def authorization(public_keys: Mapping[str, str]) -> str:
    """Return the block ``authorization``: only these users are let in.

    Parameters
    ----------
    public_keys
        The key of each user, by name.
    """
    users = ",\n".join(f"    {json.dumps(_user(*one))}" for one in public_keys.items())
    return f"authorization {{\n  timeout: {_PATIENCE_S}\n  users: [\n{users}\n  ]\n}}\n"


def _user(name: str, public_key: str) -> dict[str, Any]:
    rights = rights_of(name, inboxes_of(public_key))
    return {
        "nkey": public_key,
        "permissions": {
            "publish": {"allow": rights.publish, "deny": rights.denied},
            "subscribe": {"allow": rights.subscribe},
        },
    }
