"""Look for secrets in what is to be published: every file that git knows.

``make secrets``. Patterns of keys of known kinds, by detect-secrets, and seeds of the broker's
users. What only looks random is left out: this repository is full of digests.
"""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from detect_secrets.core.secrets_collection import SecretsCollection
from detect_secrets.settings import transient_settings

_KINDS: Final = (
    "ArtifactoryDetector",
    "AWSKeyDetector",
    "AzureStorageKeyDetector",
    "CloudantDetector",
    "DiscordBotTokenDetector",
    "GitHubTokenDetector",
    "GitLabTokenDetector",
    "JwtTokenDetector",
    "MailchimpDetector",
    "NpmDetector",
    "OpenAIDetector",
    "PrivateKeyDetector",
    "PypiTokenDetector",
    "SendGridDetector",
    "SlackDetector",
    "StripeDetector",
    "TelegramBotTokenDetector",
    "TwilioKeyDetector",
)
_SEED: Final = re.compile(rb"\bSU[A-Z2-7]{56}\b")


def find_secrets(files: list[Path]) -> list[str]:
    """Return the places of secrets, each with its kind.

    Parameters
    ----------
    files
        Where to look.
    """
    found = SecretsCollection()
    with transient_settings({"plugins_used": [{"name": name} for name in _KINDS]}):
        for file in files:
            found.scan_file(str(file))
    places = [f"{secret.filename}:{secret.line_number}: {secret.type}" for _, secret in found]
    seeds = (file for file in files if _SEED.search(file.read_bytes()))
    return sorted([*places, *(f"{file}: seed of a broker's user" for file in seeds)])


def main() -> None:
    """Print what is found; status 1 if anything is."""
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, check=True).stdout
    names = filter(None, listed.decode().split("\0"))
    places = find_secrets([path for path in map(Path, names) if path.is_file()])
    sys.stdout.writelines(f"{place}\n" for place in places)
    sys.exit(1 if places else 0)


if __name__ == "__main__":
    main()
