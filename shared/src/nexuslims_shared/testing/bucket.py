"""How every key-value bucket behaves."""

from nexuslims_shared.bucket import Bucket


class BucketBehaviour:
    """Inherit, give a fixture ``bucket`` that is empty, and pass."""

    async def test_an_empty_bucket_has_nothing(self, bucket: Bucket) -> None:
        """No bytes stand for no such key."""
        assert await bucket.keys() == []
        assert await bucket.get("a.b") == b""

    async def test_what_is_put_is_there_until_something_else_is(self, bucket: Bucket) -> None:
        """Keys come in order."""
        await bucket.put("b", b"1")
        await bucket.put("a.b-1", b"2")
        await bucket.put("b", b"3")
        assert await bucket.keys() == ["a.b-1", "b"]
        assert await bucket.get("b") == b"3"

    async def test_of_two_who_create_a_key_the_first_decides(self, bucket: Bucket) -> None:
        """Both learn what is there."""
        assert await bucket.create("salt", b"first") == b"first"
        assert await bucket.create("salt", b"second") == b"first"
        assert await bucket.get("salt") == b"first"
