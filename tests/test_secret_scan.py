"""What `make secrets` finds: keys of known kinds, and seeds; not digests."""

from pathlib import Path

from scripts.secret_scan import find_secrets

from nexuslims_shared.accounts.keys import new_seed


def test_keys_and_seeds_are_found_and_digests_are_not(tmp_path: Path) -> None:
    texts = {
        "key.pem": "-----BEGIN " + "RSA PRIVATE KEY-----\nMIIEow\n",
        "seed.txt": f"NX_NATS_NKEY={new_seed()}\n",
        "aws.env": "id=AKIA" + "QWERTYUIOPASDFGH\n",
        "digest.txt": f"sha256: {'0123456789abcdef' * 4}\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    found = find_secrets([tmp_path / name for name in texts])
    assert [Path(place.partition(":")[0]).name for place in found] == [
        "aws.env",
        "key.pem",
        "seed.txt",
    ]
