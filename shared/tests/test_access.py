"""How a client finds the broker, and as whom it comes."""

from nexuslims_shared.accounts.access import Access
from nexuslims_shared.accounts.keys import new_seed


def test_a_seed_in_an_address_is_taken_out_of_it() -> None:
    seed = new_seed()
    access = Access.of(f"nats://{seed}@one:4222, nats://{seed}@two:4222")
    assert access.servers == ("nats://one:4222", "nats://two:4222")
    assert access.seed == seed
    assert seed not in repr(access)
    assert Access.of("nats://me:secret@one:4222").servers == ("nats://me:secret@one:4222",)
    assert Access.of("one:4222").servers == ("one:4222",)
