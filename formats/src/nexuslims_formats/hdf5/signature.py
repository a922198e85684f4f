"""How an HDF5 file begins: the one place that tells."""

from typing import Final

SIGNATURE: Final = b"\x89HDF\r\n\x1a\n"
_STARTS: Final = (0, 512, 1024, 2048)
"""Where it stands: behind a block of the vendor's own, always at a power of two."""


def is_hdf5(head: bytes) -> bool:
    """Tell by the first bytes of a file, of at least 2056, whether it is HDF5."""
    return any(head.startswith(SIGNATURE, at) for at in _STARTS)
