"""How every channel behaves, as tests to inherit.

A channel's tests inherit :class:`ChannelBehaviour` and give it three fixtures: ``channel``;
``taken``, a function that returns the texts of all messages that the far side has; and ``refuse``,
a function after which the far side takes no more.
"""

from collections.abc import Callable
from typing import Final

from nexuslims_console.notifications.channels import Channel, NotificationError
from nexuslims_console.notifications.digest import Digest, Group

DIGEST: Final = Digest(
    subject="2 sessions need somebody",
    groups=(Group("ERROR", "no disk: \u03bcm", ("file-1", "file-2"), "nexuslims retry file-1"),),
)
"""A message to send."""


class ChannelBehaviour:
    """Inherit, give the fixtures, and pass."""

    def test_a_message_arrives_once_and_whole(
        self, channel: Channel, taken: Callable[[], list[str]]
    ) -> None:
        """What it is about, which sessions, why, and the remedy."""
        channel.send(DIGEST)
        (text,) = taken()
        for part in (DIGEST.subject, "no disk: \u03bcm", "file-2", "nexuslims retry file-1"):
            assert part in text

    def test_messages_are_not_held_back(
        self, channel: Channel, taken: Callable[[], list[str]]
    ) -> None:
        """Whether something was said before is not the channel's business."""
        channel.send(DIGEST)
        channel.send(DIGEST)
        assert len(taken()) == len((DIGEST, DIGEST))

    def test_a_refusal_is_the_error_that_has_it_sent_again(
        self, channel: Channel, taken: Callable[[], list[str]], refuse: Callable[[], None]
    ) -> None:
        """Its words name the remedy."""
        refuse()
        words = ""
        try:
            channel.send(DIGEST)
        except NotificationError as error:
            words = str(error)
        assert "correct" in words
        assert taken() == []
