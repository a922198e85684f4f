"""What every destination must do, as tests to inherit."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from nexuslims_contracts.identifiers import is_token
from nexuslims_uploader.destination import Destination, RecordToUpload, UploadResult
from nexuslims_uploader.testing.records import HOSTILE, record_to_upload, small_record_xml

Held: TypeAlias = Callable[[], Mapping[str, Sequence[bytes]]]
Edit: TypeAlias = Callable[[str], None]
Remarks: TypeAlias = Callable[[], set[str]]


class DestinationBehaviour:
    """What a destination must do; ``previous`` is what the events say, and they may say less."""

    def test_its_name_can_stand_in_a_subject(self, destination: Destination) -> None:
        """Settings and events name it."""
        assert is_token(destination.name)

    async def test_it_has_nothing_to_complain_of(self, destination: Destination) -> None:
        """A destination that works says so."""
        assert await destination.check() == []

    async def test_it_holds_the_bytes(self, destination: Destination, held: Held) -> None:
        """A record arrives as it is."""
        record = record_to_upload(small_record_xml("Körner μ"))
        result = await destination.upload(record, {})
        assert result.record_id
        assert held() == {record.session: [record.xml]}

    async def test_the_same_record_twice_is_one(self, destination: Destination, held: Held) -> None:
        """Also when no event states the first upload, because a crash came between."""
        record = record_to_upload()
        first = await destination.upload(record, {})
        assert await destination.upload(record, {}) == first
        assert await destination.upload(record, {destination.name: first}) == first
        assert held() == {record.session: [record.xml]}

    async def test_a_rebuilt_record_replaces_the_old_one(
        self, destination: Destination, held: Held
    ) -> None:
        """Whether the events know of the old one or not."""
        first = await destination.upload(record_to_upload(small_record_xml("One")), {})
        second = record_to_upload(small_record_xml("Two"))
        again = await destination.upload(second, {destination.name: first})
        assert again.record_id == first.record_id
        assert held() == {second.session: [second.xml]}
        third = record_to_upload(small_record_xml("Three"))
        await destination.upload(third, {})
        assert held() == {third.session: [third.xml]}

    async def test_a_record_under_a_new_name_replaces_the_old_one(
        self, destination: Destination, held: Held
    ) -> None:
        """A revised session may begin on another day, and the file's name holds the day."""
        first = await destination.upload(record_to_upload(), {})
        moved = record_to_upload(
            small_record_xml("B"), file_name="2018-11-14_FEI-Titan-TEM_204.xml"
        )
        await destination.upload(moved, {destination.name: first})
        assert held() == {moved.session: [moved.xml]}

    async def test_two_sessions_with_one_title_are_two(
        self, destination: Destination, held: Held
    ) -> None:
        """A title says nothing about which record it is."""
        one = record_to_upload(session="file-1", file_name="2018-11-13_FEI-Titan-TEM_1.xml")
        two = record_to_upload(session="file-2", file_name="2018-11-13_FEI-Titan-TEM_2.xml")
        ids = {(await destination.upload(record, {})).record_id for record in (one, two)}
        assert len(ids) == 2
        assert held() == {"file-1": [one.xml], "file-2": [two.xml]}

    async def test_a_hostile_title_is_only_a_title(
        self, destination: Destination, held: Held
    ) -> None:
        """What people write is text, wherever it goes."""
        record = record_to_upload(small_record_xml(HOSTILE))
        await destination.upload(record, {})
        await destination.upload(record, {})
        assert held() == {record.session: [record.xml]}

    async def test_it_links_to_others_or_not(self, destination: Destination, held: Held) -> None:
        """What other destinations say does not change what this one holds."""
        record = record_to_upload()
        others = {"elsewhere": UploadResult("17", "https://elsewhere.example.org/17?a=1&b=<2>")}
        await destination.upload(record, others)
        assert held() == {record.session: [record.xml]}

    async def test_it_says_whether_it_holds_a_record(
        self, destination: Destination, held: Held
    ) -> None:
        """And changes nothing when it is asked."""
        record = record_to_upload()
        assert await destination.inspect(record, {}) == "missing"
        result = await destination.upload(record, {})
        for known in ({destination.name: result}, {}):
            assert await destination.inspect(record, known) == "current"
        assert held() == {record.session: [record.xml]}
        await destination.withdraw(record, {destination.name: result})
        assert await destination.inspect(record, {destination.name: result}) == "missing"
        assert held() == {}

    async def test_a_withdrawn_record_is_gone(self, destination: Destination, held: Held) -> None:
        """Whether the events know of it or not, and also when it is withdrawn twice."""
        record, other = record_to_upload(), record_to_upload(session="file-2", file_name="2.xml")
        kept = await destination.upload(other, {})
        for known in (True, False):
            result = await destination.upload(record, {})
            for _ in range(2):
                await destination.withdraw(record, {destination.name: result} if known else {})
                assert held() == {other.session: [other.xml]}
        assert await destination.upload(other, {}) == kept

    async def test_an_earlier_record_is_withdrawn_too(
        self, destination: Destination, held: Held
    ) -> None:
        """The current one may never have arrived."""
        result = await destination.upload(record_to_upload(small_record_xml("One")), {})
        newer = record_to_upload(small_record_xml("Two"))
        await destination.withdraw(newer, {destination.name: result})
        assert held() == {}

    async def test_a_withdrawn_record_may_come_back(
        self, destination: Destination, held: Held
    ) -> None:
        """Consent may be given again."""
        record = record_to_upload()
        result = await destination.upload(record, {})
        await destination.withdraw(record, {destination.name: result})
        await destination.upload(record, {})
        assert held() == {record.session: [record.xml]}


class EditableDestinationBehaviour:
    """What a destination must do where people can change records; a suite beside the other.

    It takes two fixtures more: ``edit`` has a person add a remark to the record that is held, and
    ``remarks`` returns all remarks that people can still read there.
    """

    async def test_a_remark_survives_the_same_record(
        self, destination: Destination, edit: Edit, remarks: Remarks
    ) -> None:
        """A retry is no reason to write anything, whether the events know of the first upload."""
        record = record_to_upload()
        first = await destination.upload(record, {})
        edit("amorphous")
        again = await destination.upload(record, {destination.name: first})
        assert "amorphous" in remarks()
        await destination.upload(_with_additions(record, again), {destination.name: again})
        await destination.upload(record, {})
        assert "amorphous" in remarks()

    async def test_a_remark_survives_rebuilt_records(
        self, destination: Destination, edit: Edit, remarks: Remarks
    ) -> None:
        """Each upload after the first starts from what is there by then."""
        where = await destination.upload(record_to_upload(small_record_xml("One")), {})
        for number, title in enumerate(("Two", "Three", "Four")):
            edit(f"remark {number}")
            record = _with_additions(record_to_upload(small_record_xml(title)), where)
            where = await destination.upload(record, {destination.name: where})
        assert {"remark 0", "remark 1", "remark 2"} <= remarks()

    async def test_a_remark_survives_an_upload_that_no_event_states(
        self, destination: Destination, edit: Edit, remarks: Remarks
    ) -> None:
        """A crash may come between an upload and its event."""
        first = await destination.upload(record_to_upload(small_record_xml("One")), {})
        known, second = {destination.name: first}, record_to_upload(small_record_xml("Two"))
        edit("before")
        await destination.upload(second, known)
        edit("after")
        await destination.upload(second, known)
        assert {"before", "after"} <= remarks()


def _with_additions(record: RecordToUpload, result: UploadResult) -> RecordToUpload:
    """Have the record know what people added, as the uploader does by the events."""
    return replace(record, additions=result.additions or ())
