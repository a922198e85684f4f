"""``make contracts``: writes the published forms into the repository."""

import sys
from pathlib import Path

from nexuslims_contracts.published.forms import BrokenContractError, write


def main(root: Path) -> int:
    """Write, and say what changed."""
    try:
        changed = write(root)
    except BrokenContractError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for path in changed:
        sys.stdout.write(f"{path}\n")
    sys.stdout.write(f"{len(changed) or 'no'} files changed\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path.cwd()))
