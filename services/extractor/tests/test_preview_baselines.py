"""Each kind of preview beside a small picture that our own code drew.

After a wanted change of the drawing: ``NEXUSLIMS_DRAW_BASELINES=1 pytest`` this file, look at them,
and commit them.
"""

import os
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nexuslims_contracts.datasets import Axis
from nexuslims_extractor.model import Signal
from nexuslims_extractor.previews import render_preview

BASELINES = Path(__file__).parent / "baselines"
SIDE = 125
MEAN_DIFFERENCE = 2.0
"""Grey levels of 255: what another version of a font or of the resampling may change."""


def rings(rows, columns):
    y, x = np.mgrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    return (np.cos(12 * np.hypot(y, x)) + 1.01).astype(np.float32)


def peaks(channels):
    place = np.arange(channels)
    return sum(
        height * np.exp(-(((place - at * channels) / 6.0) ** 2))
        for at, height in ((0.2, 900.0), (0.6, 400.0))
    )


def drawn(kind, pixels, *axes):
    return Signal(
        name="s", dataset_type=kind, data_type=kind, shape=pixels.shape, pixels=lambda: pixels,
        axes=tuple(Axis(size=size, **axis) for size, axis in zip(pixels.shape, axes, strict=True)),
    )  # fmt: skip


PLANE = ({"name": "y", "scale": 0.05, "unit": "um"}, {"name": "x", "scale": 0.05, "unit": "um"})
SCAN = tuple({**axis, "navigate": True} for axis in PLANE)
ENERGY = {"name": "Energy", "scale": 0.01, "offset": -0.1, "unit": "keV"}
RECIPROCAL = (
    {"name": "ky", "scale": 0.1, "unit": "1/nm"},
    {"name": "kx", "scale": 0.1, "unit": "1/nm"},
)
SIGNALS = {
    "image": drawn("Image", rings(90, 120), *PLANE),
    "diffraction": drawn("Diffraction", np.exp(4 * rings(100, 100)), *RECIPROCAL),
    "spectrum": drawn("Spectrum", peaks(400), ENERGY),
    "spectrum_image": drawn(
        "SpectrumImage", rings(20, 30)[..., None] * peaks(128), *SCAN, ENERGY
    ),
    "stack": drawn(
        "Image", np.stack([rings(40, 40) ** n for n in range(1, 12)]), {"navigate": True}, *PLANE
    ),
    "scan_of_patterns": drawn(
        "Diffraction", rings(8, 9)[..., None, None] * rings(24, 24), *SCAN, *RECIPROCAL
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", SIGNALS)
def test_a_preview_looks_as_it_did(kind):
    picture = Image.open(BytesIO(render_preview(SIGNALS[kind]))).convert("L")
    assert max(picture.size) in (498, 500)
    small = picture.resize((SIDE, round(SIDE * picture.height / picture.width)), Image.BOX)
    place = BASELINES / f"{kind}.png"
    if os.environ.get("NEXUSLIMS_DRAW_BASELINES"):
        place.parent.mkdir(exist_ok=True)
        small.save(place, optimize=True)
    baseline = Image.open(place)
    assert small.size == baseline.size
    difference = np.abs(np.asarray(small, float) - np.asarray(baseline, float))
    assert difference.mean() < MEAN_DIFFERENCE
