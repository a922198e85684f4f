"""Terms of the EM Glossary 2.0 (Helmholtz Metadata Collaboration, CC BY 4.0) that fields refer to.

References
----------
https://purls.helmholtz-metadaten.de/emg/v2.0.0/
"""

from dataclasses import dataclass

PURL = "https://purls.helmholtz-metadaten.de/emg/v2.0.0/"


@dataclass(frozen=True, slots=True)
class Term:
    """A term of the glossary."""

    id: str
    label: str

    @property
    def purl(self) -> str:
        """Where the term is defined, for good."""
        return PURL + self.id


def _terms(labels: dict[int, str]) -> dict[str, Term]:
    ids = {f"EMG_{number:08}": label for number, label in labels.items()}
    return {id_: Term(id_, label) for id_, label in ids.items()}


QUANTITIES: dict[str, Term] = _terms({
    4: "Acceleration Voltage",
    6: "Beam Current",
    8: "Camera Length",
    10: "Convergence Angle",
    15: "Dwell Time",
    25: "Emission Current",
    26: "Extraction Voltage",
    27: "Filament Current",
    28: "Flyback Time",
    29: "Focal Length",
    33: "Frame Flyback Time",
    34: "Frame Time",
    41: "Probe Current",
    44: "Scattering Angle",
    48: "Time Period",
    49: "Wait Time",
    50: "Working Distance",
    54: "Dead Time",
    55: "Acquisition Time",
    56: "Beam Moving Time",
    57: "Detector Moving Time",
    58: "Moving Time",
    59: "Sample Moving Time",
})  # fmt: skip
"""The glossary's quantities, by id."""

TERMS: dict[str, Term] = QUANTITIES | _terms(
    {16: "Dynamic Focus Correction", 46: "Specimen", 47: "Tilt Correction"}
)
"""Every term that a field refers to, and every quantity of the glossary, by id."""
