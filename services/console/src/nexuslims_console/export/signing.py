"""Signatures in the format of minisign, which readers of ``.eln`` files know.

A key pair is Ed25519; a signature covers the BLAKE2b digest of a file, and a second one covers the
first with its trusted comment. Format: https://jedisct1.github.io/minisign/
"""

import base64
import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nexuslims_console.errors import ExportError

KEY_FILE: Final = "export.key"
_ALGORITHM_OF_KEY: Final = b"Ed"
_ALGORITHM_OF_DIGEST: Final = b"ED"
_NUMBER_BYTES: Final = 8
_SEED_BYTES: Final = 32


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """A facility's key; it has no readable form, so that no message can hold it.

    Parameters
    ----------
    number
        The key's number: 8 random bytes that signatures repeat.
    seed
        The secret: 32 bytes.
    """

    number: bytes
    seed: bytes

    @classmethod
    def of_facility(cls, state: Path) -> Self:
        """Read the key of a facility; the first time, make it.

        Parameters
        ----------
        state
            The state folder; the key's file in it can be read by its owner only.

        Raises
        ------
        ExportError
            If the file cannot be read or made, or holds something else.
        """
        file = state / KEY_FILE
        try:
            state.mkdir(parents=True, exist_ok=True)
            _create(file, secrets.token_bytes(_NUMBER_BYTES + _SEED_BYTES))
            content = base64.b64decode(file.read_bytes(), validate=True)
        except OSError as error:
            raise ExportError(f"{file}: {error.strerror}: correct its permissions") from error
        except ValueError:
            content = b""
        if len(content) != _NUMBER_BYTES + _SEED_BYTES:
            raise ExportError(f"{file} is no signing key: put its copy back, or delete it")
        return cls(content[:_NUMBER_BYTES], content[_NUMBER_BYTES:])

    def public(self) -> str:
        """Return the public key, a line of base64 that ``minisign -P`` takes."""
        key = self._private().public_key().public_bytes_raw()
        return _line(_ALGORITHM_OF_KEY + self.number + key)

    def sign(self, content: bytes, *, comment: str) -> bytes:
        """Return the content of a signature file.

        Parameters
        ----------
        content
            What is signed.
        comment
            A line that is signed too.
        """
        key = self._private()
        signature = key.sign(hashlib.blake2b(content).digest())
        line = " ".join(comment.split())
        both = key.sign(signature + line.encode())
        head = _ALGORITHM_OF_DIGEST + self.number + signature
        return (
            f"untrusted comment: signature of a NexusLIMS export\n{_line(head)}\n"
            f"trusted comment: {line}\n{_line(both)}\n"
        ).encode()

    def _private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)


def _create(file: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all, unless it is there."""
    if file.exists():
        return
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(base64.b64encode(content))
            stream.flush()
            os.fsync(stream.fileno())
        # a link fails where another process was first; its key is the facility's then
        os.link(temporary, file)
    except FileExistsError:
        return
    finally:
        temporary.unlink(missing_ok=True)


def _line(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
