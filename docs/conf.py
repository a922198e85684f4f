"""The documentation site: `make docs`."""

import re
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT))

from scripts import reference  # noqa: E402 - found by the line above

project = "NexusLIMS, event by event"
author = "The developers of this repository"
html_title = project
html_theme = "furo"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["changes"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
napoleon_google_docstring = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
suppress_warnings = ["misc.highlighting_failure"]

_OUTSIDE = re.compile(r"\[([^\]]+)\]\((\.\./[^)]*)\)")


def leave_out_links_to_the_repository(app: Any, document: str, source: list[str]) -> None:
    """Make plain text of links to what is in the repository, but not on the site.

    Parameters
    ----------
    app
        The build.
    document
        Name of the page.
    source
        Its text, alone in a list; it is replaced.
    """
    folder = (Path(app.srcdir) / document).parent

    def without(match: re.Match[str]) -> str:
        target = (folder / match[2].partition("#")[0]).resolve()
        return match[0] if target.is_relative_to(Path(app.srcdir)) else match[1]

    source[0] = _OUTSIDE.sub(without, source[0])


def setup(app: Any) -> None:
    """Write the pages that come from the code, and register what is above."""
    reference.write(Path(app.srcdir) / "reference" / "generated")
    app.connect("source-read", leave_out_links_to_the_repository)
