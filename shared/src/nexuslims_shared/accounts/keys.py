"""Keys of the broker's users: Ed25519 pairs in NATS' own form (nkeys).

Who has a seed is its user. The broker knows public keys only, and a seed is never sent: a client
signs what the broker makes up for each connection.
"""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import nkeys

from nexuslims_shared.errors import SettingsError
from nexuslims_shared.settings import make_folder

_ENDING: Final = ".nk"
_SEED_BYTES: Final = 32
_PASSWORD_BYTES: Final = 24
_SEED_LETTERS: Final = 58
_USER_SEED: Final = "SU"


def new_seed() -> str:
    """Return the seed of a new user."""
    seed: bytes = nkeys.encode_seed(os.urandom(_SEED_BYTES), nkeys.PREFIX_BYTE_USER)
    return seed.decode()


def looks_like_seed(text: str) -> bool:
    """Tell whether a text has the form of a user's seed."""
    return len(text) == _SEED_LETTERS and text.startswith(_USER_SEED)


def public_key(seed: str) -> str:
    """Return the public key that belongs to a seed.

    Raises
    ------
    SettingsError
        If it is no seed of a user; the message does not repeat it.
    """
    try:
        if not looks_like_seed(seed):
            raise nkeys.ErrInvalidSeed
        pair = nkeys.from_seed(bytearray(seed.encode()))
        key: bytes = pair.public_key
    except (nkeys.NkeysError, ValueError) as error:
        raise SettingsError(
            "the key of the broker's user is damaged: it has 58 letters and digits and begins with"
            " SU, as `nexuslims broker init` writes it"
        ) from error
    return key.decode()


def make_keys(folder: Path, users: Iterable[str]) -> dict[str, str]:
    """Make a seed for each user that has none, readable by the owner alone.

    Parameters
    ----------
    folder
        Where they are kept; made if it is not there.
    users
        Names.

    Returns
    -------
    dict of str to str
        The public key of each user.

    Raises
    ------
    SettingsError
        If the folder cannot be made, or a file in it holds no seed.
    """
    make_folder(folder, "the folder of the broker's keys").chmod(0o700)
    for user in users:
        path = _path(folder, user)
        if not path.exists():
            _write_privately(path, new_seed() + "\n")
    return {user: public_key(read_seed(folder, user)) for user in users}


def keep_password(path: Path) -> str:
    """Return the password in a file; one is made up if there is none, readable by the owner alone.

    Raises
    ------
    SettingsError
        If the file cannot be read.
    """
    if not path.exists():
        _write_privately(path, secrets.token_hex(_PASSWORD_BYTES) + "\n")
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: the password cannot be read ({error})") from error


def has_seed(folder: Path, user: str) -> bool:
    """Tell whether a folder holds a user's seed.

    Parameters
    ----------
    folder
        Where the keys are kept.
    user
        Name.
    """
    return _path(folder, user).exists()


def read_seed(folder: Path, user: str) -> str:
    """Read a user's seed.

    Parameters
    ----------
    folder
        Where the keys are kept.
    user
        Name.

    Raises
    ------
    SettingsError
        If it cannot be read.
    """
    path = _path(folder, user)
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise SettingsError(
            f"{path}: the key of the broker's user '{user}' cannot be read ({reason}):"
            " it is for the account alone that runs the broker"
        ) from error


def _path(folder: Path, user: str) -> Path:
    return folder / f"{user}{_ENDING}"


def _write_privately(path: Path, text: str) -> None:
    """Write a file that nobody else can read at any moment; it is there whole, or not at all."""
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
