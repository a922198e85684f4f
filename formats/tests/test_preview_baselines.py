"""Previews look as they did: one of each kind, against a small picture kept beside the tests.

After a change of looks that is wanted, NEXUSLIMS_WRITE_BASELINES=1 draws the pictures again; look
at them before they are committed.
"""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nexuslims_contracts.datasets import Axis
from nexuslims_formats.model import Signal
from nexuslims_formats.previews import render_preview

BASELINES = Path(__file__).parent / "baselines"
SMALL = 125
MEAN, WORST = 3.0, 90.0
"""Grey levels by which a picture may differ on average, and at any point: fonts differ a bit."""

Y, X = (Axis(name=n, size=size, scale=0.5, unit="um") for n, size in (("y", 96), ("x", 128)))
ENERGY = Axis(name="Energy", size=200, scale=0.01, unit="keV")
SCAN = tuple(
    Axis(name=name, size=size, scale=2.0, unit="nm", navigate=True)
    for name, size in (("y", 12), ("x", 16))
)
PATTERN = tuple(Axis(name=name, size=32, scale=0.1, unit="1/nm") for name in ("ky", "kx"))


def image() -> np.ndarray:
    down, across = np.mgrid[0:96, 0:128]
    return (1000 * np.exp(-((down - 30) ** 2 + (across - 80) ** 2) / 400) + across).astype("f4")


def spectrum() -> np.ndarray:
    channels = np.arange(200)
    return (
        50 * np.exp(-((channels - 60) ** 2) / 20) + 20 * np.exp(-((channels - 150) ** 2) / 60) + 1
    )


def patterns() -> np.ndarray:
    down, across = np.mgrid[0:32, 0:32]
    spot = 1e4 * np.exp(-((down - 16) ** 2 + (across - 16) ** 2) / 6) + 1
    return (spot * (1 + np.mgrid[0:12, 0:16].sum(axis=0) / 10)[..., None, None]).astype("f4")


def weighted(axes_shape: tuple[int, int]) -> np.ndarray:
    weights = np.mgrid[0 : axes_shape[0], 0 : axes_shape[1]].prod(axis=0) + 1.0
    return weights[..., None] * spectrum()


KINDS = {
    "image": ("Image", (Y, X), image),
    "diffraction": ("Diffraction", PATTERN, lambda: patterns()[0, 0]),
    "spectrum": ("Spectrum", (ENERGY,), spectrum),
    "spectrum-image": ("SpectrumImage", (*SCAN, ENERGY), lambda: weighted((12, 16))),
    "line-scan": ("SpectrumImage", (SCAN[1], ENERGY), lambda: weighted((1, 16))[0]),
    "stack": ("Image", (Axis(size=4, navigate=True), Y, X),
              lambda: np.stack([image() * (n + 1) + 500 * n for n in range(4)])),
    "patterns": ("Diffraction", (*SCAN, *PATTERN), patterns),
}  # fmt: skip


def drawn(kind: str) -> Image.Image:
    if kind == "text":
        signal = Signal(name="notes", dataset_type="Misc", data_type="Text", text="Ni/Au 3\nµm")
    else:
        dataset_type, axes, make = KINDS[kind]
        data = make()
        signal = Signal(
            name=kind, dataset_type=dataset_type, data_type="x", shape=data.shape, axes=axes,
            dtype=str(data.dtype), pixels=lambda: data,
        )  # fmt: skip
    png = render_preview(signal)
    assert png is not None
    picture = Image.open(io.BytesIO(png))
    assert max(picture.size) == 500
    small = picture.convert("L")
    small.thumbnail(
        (SMALL, SMALL), Image.Resampling.BOX
    )  # as high and wide as it is, in proportion
    return small


@pytest.mark.parametrize("kind", [*KINDS, "text"])
def test_a_preview_looks_as_it_did(kind: str) -> None:
    found, path = drawn(kind), BASELINES / f"{kind}.png"
    if os.environ.get("NEXUSLIMS_WRITE_BASELINES"):
        path.parent.mkdir(exist_ok=True)
        found.save(path, optimize=True)
    wanted = Image.open(path).convert("L")
    assert found.size == wanted.size
    apart = np.abs(np.asarray(found, "f4") - np.asarray(wanted, "f4"))
    assert apart.mean() <= MEAN
    assert apart.max() <= WORST


def test_the_comparison_sees_a_difference() -> None:
    found = np.asarray(drawn("spectrum"), "f4")
    wanted = np.asarray(drawn("spectrum-image"), "f4")
    assert np.abs(found - wanted).mean() > MEAN
