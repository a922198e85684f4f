"""How far a verification came, in a file: one that was stopped goes on where it was."""

import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from nexuslims_uploader.errors import UploaderError

_LASTS_S: Final = 24 * 3600.0


class Position:
    """Knows the sessions that are well; those with findings are looked at again.

    Parameters
    ----------
    path
        Its file; the name stands for what is verified.
    restart
        Whether to begin anew. After a day that is done in any case.
    """

    def __init__(self, path: Path, *, restart: bool = False) -> None:
        self.path = path
        self._restart = restart
        self.well: dict[str, tuple[int, int]] = {}
        """How many records and files, by session."""

    def __enter__(self) -> Self:
        """Read how far the attempt before came."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists():
                text = self.path.read_text(encoding="utf-8")
                whole = text[: text.rfind("\n") + 1]  # a crash may have cut off the last line
                whole = whole if self._is_fresh() else ""
                self._read(whole)
                self.path.write_text(whole, encoding="utf-8")
            self._file = self.path.open("a", encoding="utf-8")
        except OSError as error:
            raise UploaderError(
                f"cannot write {self.path}: {error.strerror}; correct NX_STATE_PATH"
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keep the file if the verification was stopped."""
        self._file.close()
        if kind is None:
            self.path.unlink()

    def add(self, session: str, records: int, files: int) -> None:
        """Take down that a session is well.

        Parameters
        ----------
        session
            Its token.
        records, files
            How many were looked at.
        """
        self._file.write(f"{session} {records} {files}\n")
        self._file.flush()

    def _is_fresh(self) -> bool:
        return not self._restart and time.time() - self.path.stat().st_mtime < _LASTS_S

    def _read(self, text: str) -> None:
        for line in text.splitlines():
            session, records, files = line.split()
            self.well[session] = (int(records), int(files))
