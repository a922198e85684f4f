"""How all leases behave."""

import asyncio
from contextlib import suppress

from nexuslims_shared.errors import LeaseHeldError
from nexuslims_shared.leases import Leases


class LeasesBehaviour:
    """Inherit, give fixtures ``ours`` and ``theirs``, as two processes have them, and pass."""

    async def test_one_at_a_time(self, ours: Leases, theirs: Leases) -> None:
        """And the next one when the work is done, as often as one likes."""
        for _ in range(3):
            async with ours.hold("file-1"):
                assert await self._is_held(theirs, "file-1")
            assert not await self._is_held(theirs, "file-1")

    async def test_each_key_has_a_lease_of_its_own(self, ours: Leases, theirs: Leases) -> None:
        """Work on other sessions goes on."""
        async with ours.hold("file-1"), theirs.hold("file-2"):
            assert await self._is_held(ours, "file-2")

    async def test_it_is_given_back_after_an_error(self, ours: Leases, theirs: Leases) -> None:
        """At once, and the error is not changed."""
        with suppress(ZeroDivisionError):
            async with ours.hold("file-1"):
                raise ZeroDivisionError
        assert not await self._is_held(theirs, "file-1")

    async def test_work_that_is_cancelled_gives_it_back(self, ours: Leases, theirs: Leases) -> None:
        """And stays cancelled."""
        begun = asyncio.Event()

        async def work() -> None:
            async with ours.hold("file-1"):
                begun.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await begun.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert not await self._is_held(theirs, "file-1")

    async def test_who_holds_it_is_not_disturbed_by_who_asks(
        self, ours: Leases, theirs: Leases
    ) -> None:
        """The message names the work."""
        async with ours.hold("file-1"):
            for _ in range(2):
                try:
                    async with theirs.hold("file-1"):
                        raise AssertionError("two at a time")
                except LeaseHeldError as error:
                    assert "file-1" in str(error)

    async def _is_held(self, leases: Leases, key: str) -> bool:
        try:
            async with leases.hold(key):
                return False
        except LeaseHeldError:
            return True
