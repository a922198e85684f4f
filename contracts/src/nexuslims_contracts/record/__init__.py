"""The record of a session: an XML document of the Nexus Experiment schema, in our own XSD.

What is valid under ``nexus-experiment.xsd`` is valid under the schema that CDCS holds; where that
one is open (entries of notes, content of chemical elements) ours is narrower. The ``model`` says
what a record holds, without XML; ``writer`` and ``reader`` turn it into XML and back.
"""

from importlib.resources import files
from importlib.resources.abc import Traversable

NAMESPACE = "https://data.nist.gov/od/dm/nexus/experiment/v1.0"
ROOT = f"{{{NAMESPACE}}}Experiment"
"""Tag of the root element, in Clark notation."""

PREFIX = "nx"
"""The prefix that records declare for the namespace beside having it as default."""

XSI = "http://www.w3.org/2001/XMLSchema-instance"
"""Namespace of the attribute ``xsi:type``, which tells the kind of an entry of notes."""

SCHEMA_NAME = "nexus-experiment.xsd"

DATASET_ROLES = ("Experimental", "MasterCalibration", "UserCalibration", "Derived")

CHEMICAL_ELEMENTS = (
    "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S",
    "Cl", "Ar", "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga",
    "Ge", "As", "Se", "Br", "Kr", "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd",
    "Ag", "Cd", "In", "Sn", "Sb", "Te", "I", "Xe", "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Pm",
    "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os",
    "Ir", "Pt", "Au", "Hg", "Tl", "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa",
    "U", "Np", "Pu", "Am", "Cm", "Bk", "Cf", "Es", "Fm", "Md", "No", "Lr", "Rf", "Db", "Sg",
    "Bh", "Hs", "Mt", "Ds", "Rg", "Cn", "Nh", "Fl", "Mc", "Lv", "Ts", "Og",
)  # fmt: skip
"""Symbols that a sample's ``elements`` can hold, in the order of the periodic table."""


def schema_path() -> Traversable:
    """Return where the schema is, within this package."""
    return files(__name__) / SCHEMA_NAME


def schema_bytes() -> bytes:
    """Return the schema itself."""
    return schema_path().read_bytes()
