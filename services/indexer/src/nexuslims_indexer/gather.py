"""From an index to the files of sessions: one pass for all sessions of about the same time."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from nexuslims_contracts.events import FileBasis
from nexuslims_indexer.claims import Booked, Claim, Sessions
from nexuslims_indexer.index import FolderIndex
from nexuslims_indexer.model import FoundFile

_MOST_AT_ONCE: Final = 64
_FAR_APART_NS: Final = 86_400 * 10**9
_LARGEST: Final = 2**63 - 1


@dataclass(slots=True)
class Evidence:
    """What the events of sessions say of their files, beyond what the index knows.

    Parameters
    ----------
    holders
        Who has a file for a reason that only it knows, by the file's :attr:`~FoundFile.alone`.
    inside
        The time inside a file, nanoseconds since the epoch, by its token; None if it has none.
    touched
        Who has a file that has only another time than before, by the same; empty where its bytes
        are others.
    paths
        Of files of which more than the time is known.
    """

    holders: dict[str, tuple[str, FileBasis]] = field(default_factory=dict)
    inside: dict[str, int | None] = field(default_factory=dict)
    touched: dict[str, str] = field(default_factory=dict)
    paths: set[str] = field(default_factory=set)

    def touch(self, file: FoundFile, session: str) -> None:
        """Take whose a file is that has another time than before.

        Parameters
        ----------
        file
            As it is now.
        session
            The token of the session that had it; empty if its bytes are others.
        """
        self.touched[file.alone] = session
        self.paths.add(file.path)

    def take(self, session: str, held: Mapping[str, FileBasis], paths: Iterable[str] = ()) -> None:
        """Take which files a session keeps, by its events.

        Parameters
        ----------
        session
            Its token.
        held
            By the file's :attr:`~FoundFile.alone`, why.
        paths
            Of these files.
        """
        self.paths.update(paths)
        for token in [one for one, (holder, _) in self.holders.items() if holder == session]:
            del self.holders[token]
        self.holders |= {token: (session, basis) for token, basis in held.items()}

    def claim(self, file: FoundFile, sessions: Sessions) -> Claim:
        """Decide whose a file is; what only the events know of it stands."""
        if not self.holders and not self.inside and not self.touched:
            return sessions.claim(file)
        token = file.alone
        inside = self.inside.get(file.token)
        claim = sessions.claim(file, inside)
        if (owner := self.touched.get(token, "")) and sessions.consents(owner):
            rivals = {claim.session, *claim.others} - {owner, ""}
            return Claim(owner, "content", tuple(sorted(rivals)))
        holder, basis = self.holders.get(token, ("", "time"))
        if claim.session == holder or not sessions.consents(holder):
            return claim
        if basis == "began" and not sessions.may_have_begun(holder, file):
            return claim
        is_known = file.began_ns if basis == "began" else inside is not None
        if is_known or (claim.others and not claim.session):
            return claim  # the rules know as much, or a user declined the time
        others = (claim.session,) if claim.session else ()
        return replace(claim, session=holder, basis=basis, others=others)


def batches(wanted: Iterable[Booked]) -> Iterator[list[Booked]]:
    """Put sessions together whose files are found in one pass: those of about the same time."""
    batch: list[Booked] = []
    for one in sorted(wanted, key=lambda one: (one.start_ns, one.session)):
        if batch and (
            len(batch) == _MOST_AT_ONCE or one.start_ns - batch[-1].start_ns > _FAR_APART_NS
        ):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def gather(
    index: FolderIndex, sessions: Sessions, wanted: Sequence[Booked], evidence: Evidence
) -> dict[str, dict[FoundFile, Claim]]:
    """Find the files that are, or might be, those of some sessions, and whose they are.

    Parameters
    ----------
    index
        Of the instrument.
    sessions
        All of the instrument.
    wanted
        Some of them; near each other in time, or the pass goes through all between.
    evidence
        What their events say.
    """
    found: dict[str, dict[FoundFile, Claim]] = {one.session: {} for one in wanted}
    spans = sorted((*sessions.alone(one), one.session) for one in wanted)
    lows = [low for low, _, _ in spans]
    mine = {one.session: Claim(one.session) for one in wanted}
    first = min(one.start_ns for one in wanted)
    last = min(max(one.last_ns for one in wanted), _LARGEST)
    known = evidence.paths
    for file in index.files(first, last):
        moment = file.mtime_ns
        place = bisect_left(lows, moment) - 1
        is_alone = place >= 0 and moment <= spans[place][1]
        if is_alone and not file.began_ns and not (known and file.path in known):
            session = spans[place][2]
            found[session][file] = mine[session]
            continue
        claim = evidence.claim(file, sessions)
        for session in {claim.session, *claim.others} & found.keys():
            found[session][file] = claim
    if sessions.have_own_folders:
        _add_own_folders(index, sessions, wanted, found)
    return found


def _add_own_folders(
    index: FolderIndex,
    sessions: Sessions,
    wanted: Sequence[Booked],
    found: dict[str, dict[FoundFile, Claim]],
) -> None:
    """Add what lies in the folders of sessions, whatever its time."""
    for one in (one for one in wanted if one.rules.folders == "session"):
        for folder in index.named(one.own_names):
            for file in index.below(folder):
                claim = sessions.claim(file)
                if claim.session in found:
                    found[claim.session][file] = claim
