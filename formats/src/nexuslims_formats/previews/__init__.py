"""Previews: one PNG per signal, drawn with Pillow, bounded in size, time and memory."""

from nexuslims_formats.previews.render import render_preview

__all__ = ["render_preview"]
