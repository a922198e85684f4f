"""How everything behaves that keeps dead letters."""

from nexuslims_contracts.dead_letters import DeadLetter
from nexuslims_shared.dead_letters import DeadLetters


class DeadLettersBehaviour:
    """Inherit, give a fixture ``letters``, and pass."""

    async def test_letters_are_read_in_order(self, letters: DeadLetters) -> None:
        """With the number by which each can be removed."""
        assert await self._read(letters) == []
        await letters.write("builder", 7, "nexus.events.s-1.session-ended", "damaged")
        await letters.write("harvester", 0, "calendar file, session 2", "reversed")
        first, second = await self._read(letters)
        assert (first.consumer, first.sequence, first.reason) == ("builder", 7, "damaged")
        assert (second.sequence, second.subject) == (0, "calendar file, session 2")
        assert 0 < first.number < second.number

    async def test_the_same_report_is_one_letter(self, letters: DeadLetters) -> None:
        """A handler may run twice."""
        for reason in ("damaged", "damaged", "of a newer release"):
            await letters.write("builder", 7, "subject", reason)
        assert [one.reason for one in await self._read(letters)] == [
            "damaged",
            "of a newer release",
        ]

    async def test_a_report_that_is_there_is_not_written_once_more(
        self, letters: DeadLetters
    ) -> None:
        """However long ago it was written."""
        for subject in ("one", "two", "one"):
            await letters.write_once("harvester", 0, subject, "reversed")
        assert [one.subject for one in await self._read(letters)] == ["one", "two"]

    async def test_what_was_dealt_with_is_removed(self, letters: DeadLetters) -> None:
        """Also if somebody else was faster."""
        for sequence in (1, 2, 3):
            await letters.write("builder", sequence, "subject", "damaged")
        number = (await self._read(letters))[1].number
        await letters.remove(number)
        await letters.remove(number)
        assert [one.sequence for one in await self._read(letters)] == [1, 3]

    async def _read(self, letters: DeadLetters) -> list[DeadLetter]:
        return [letter async for letter in letters.read()]
