"""DigitalSurf's surfaces and maps, of which the library takes several copies into memory."""

from pathlib import Path
from typing import Any, Final

from nexuslims_formats.errors import UnreadableFileError
from nexuslims_formats.rosettasciio.parts import UNREAD

_WHOLE_BYTES: Final = 64 << 20
_COMPRESSED: Final = "DSCOMPRESSED"


def read_digitalsurf(path: Path) -> list[dict[str, Any]]:
    """Read a ``.sur`` or ``.pro``; of a large one only what it is, without its values.

    Parameters
    ----------
    path
        The file.
    """
    import numpy as np  # noqa: PLC0415 - with what reads it
    from rsciio.digitalsurf import _api  # noqa: PLC0415 - for files of this kind only

    size = path.stat().st_size

    class Headers(_api.DigitalSurfHandler):  # type: ignore[misc] # the library has no types
        """The library's reader, which passes over the values."""

        def _unpack_data(self, file: Any, encoding: str = "latin-1") -> Any:
            del encoding
            length = self._get_uncompressed_datasize()
            points = length // (self._get_work_dict_key_value("_15_Size_of_Points") // 8)
            if self._get_work_dict_key_value("_01_Signature") == _COMPRESSED:
                streams = [self._get_uint32(file) for _ in range(2 * self._get_uint32(file))]
                length = sum(streams[1::2])
            if file.seek(length, 1) > size:
                raise UnreadableFileError("the file ends within its values")
            kept = f"i{self._get_work_dict_key_value('_15_Size_of_Points') // 8}"
            is_kept = self._is_data_int() or self._is_data_bin()
            dtype: Any = int if self._is_data_scaleint() else kept if is_kept else float
            return np.broadcast_to(np.zeros((), dtype), points)

        def _append_work_dict_to_content(self) -> None:
            self._list_sur_file_content.append(
                {key: entry["value"] for key, entry in self._work_dict.items()}
            )

    is_large = size > _WHOLE_BYTES
    handler = (Headers if is_large else _api.DigitalSurfHandler)(str(path))
    handler._read_sur_file()  # noqa: SLF001 - what the library's function calls
    part: dict[str, Any] = handler._build_sur_dict()  # noqa: SLF001 - the same
    return [{**part, UNREAD: True} if is_large else part]
