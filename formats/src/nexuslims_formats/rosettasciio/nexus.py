"""What NeXus files list beside their data, which rosettasciio gives as datasets of their own."""

from collections.abc import Mapping
from typing import Any

from nexuslims_formats.rosettasciio.parts import LISTED
from nexuslims_formats.rosettasciio.vendor_fields import plain


def without_places(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the datasets of a file, with those marked that list places along another's axis.

    The library lends such a list the axes of the dataset that it belongs to.

    Parameters
    ----------
    parts
        The datasets as rosettasciio gives them.
    """
    axes = {str(axis.get("name")) for part in parts for axis in part.get("axes") or []} - {"None"}
    return [_marked(_dated(part), axes) for part in parts]


def _dated(part: dict[str, Any]) -> dict[str, Any]:
    """Return a dataset with the start of its NXentry, which the library leaves in the tree."""
    metadata = part.get("metadata") or {}
    general, original = metadata.get("General") or {}, part.get("original_metadata") or {}
    entries = [original, *(one for one in original.values() if isinstance(one, Mapping))]
    start = next((entry["start_time"] for entry in entries if entry.get("start_time")), None)
    if general.get("date") or start is None:
        return part
    date, _, time = str(plain(start)).partition("T")
    general = {**general, "date": date, "time": time}
    return {**part, "metadata": {**metadata, "General": general}}


def _marked(part: dict[str, Any], names: set[str]) -> dict[str, Any]:
    axes = part.get("axes") or []
    if len(axes) != 1 or not axes[0].get("navigate"):
        return part
    title = str(((part.get("metadata") or {}).get("General") or {}).get("title"))
    if any(title.endswith(f"_{name}") for name in names):
        return {**part, "axes": [], LISTED: True}
    return {**part, "axes": [{**axes[0], "navigate": False}]}  # a spectrum that does not say so
