"""The units that microscopes write: QUDT name, dimension, and size in SI units.

Sizes are exact in the SI of 2019. A test holds every row against Pint's registry, and every QUDT
name's dimension vector against Pint's dimensionality.

References
----------
QUDT 3.1.9, where every name was looked up: units, http://qudt.org/vocab/unit/, and vectors,
http://qudt.org/vocab/dimensionvector/.
"""

from dataclasses import dataclass
from decimal import Decimal

QUDT = "http://qudt.org/vocab/unit/"

DIMENSIONS = {
    "length": "A0E0L1I0M0H0T0D0",
    "inverse length": "A0E0L-1I0M0H0T0D0",
    "voltage": "A0E-1L2I0M1H0T-3D0",
    "energy": "A0E0L2I0M1H0T-2D0",
    "current": "A0E1L0I0M0H0T0D0",
    "time": "A0E0L0I0M0H0T1D0",
    "frequency": "A0E0L0I0M0H0T-1D0",
    "pressure": "A0E0L-1I0M1H0T-2D0",
    "temperature": "A0E0L0I0M0H1T0D0",
    "angle": "A0E0L0I0M0H0T0D1",
    "ratio": "A0E0L0I0M0H0T0D1",
    "count": "A0E0L0I0M0H0T0D1",
}
"""Dimension -> QUDT's vector; angles, ratios and counts share one and yet do not mix."""

RATIO = "x"
"""Canonical symbol of a plain ratio such as a magnification: a quantity always has a unit."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: ``SI value = value * size + offset``.

    ``exact`` is whether ``size`` is a finite decimal; angles in degrees and the torr are not.
    """

    symbol: str
    qudt: str
    dimension: str
    size: Decimal
    offset: Decimal = Decimal(0)
    exact: bool = True

    @property
    def uri(self) -> str | None:
        """URI of the unit in QUDT, if the vocabulary has it."""
        return QUDT + self.qudt if self.qudt else None


_DEGREE = Decimal("3.14159265358979323846264338328") / 180
_TORR = Decimal(101325) / 760
_EV = Decimal("1.602176634e-19")

_ROWS: tuple[tuple[str, str, str, str], ...] = (
    ("m", "M", "length", "1"),
    ("cm", "CentiM", "length", "1e-2"),
    ("mm", "MilliM", "length", "1e-3"),
    ("um", "MicroM", "length", "1e-6"),
    ("nm", "NanoM", "length", "1e-9"),
    ("pm", "PicoM", "length", "1e-12"),
    ("angstrom", "ANGSTROM", "length", "1e-10"),
    ("1/m", "PER-M", "inverse length", "1"),
    ("1/cm", "PER-CentiM", "inverse length", "1e2"),
    ("1/um", "PER-MicroM", "inverse length", "1e6"),
    ("1/nm", "PER-NanoM", "inverse length", "1e9"),
    ("1/pm", "PER-PicoM", "inverse length", "1e12"),
    ("1/angstrom", "PER-ANGSTROM", "inverse length", "1e10"),
    ("V", "V", "voltage", "1"),
    ("uV", "MicroV", "voltage", "1e-6"),
    ("mV", "MilliV", "voltage", "1e-3"),
    ("kV", "KiloV", "voltage", "1e3"),
    ("MV", "MegaV", "voltage", "1e6"),
    ("J", "J", "energy", "1"),
    ("A", "A", "current", "1"),
    ("mA", "MilliA", "current", "1e-3"),
    ("uA", "MicroA", "current", "1e-6"),
    ("nA", "NanoA", "current", "1e-9"),
    ("pA", "PicoA", "current", "1e-12"),
    ("fA", "FemtoA", "current", "1e-15"),
    ("s", "SEC", "time", "1"),
    ("ms", "MilliSEC", "time", "1e-3"),
    ("us", "MicroSEC", "time", "1e-6"),
    ("ns", "NanoSEC", "time", "1e-9"),
    ("ps", "PicoSEC", "time", "1e-12"),
    ("min", "MIN", "time", "60"),
    ("h", "HR", "time", "3600"),
    ("Hz", "HZ", "frequency", "1"),
    ("kHz", "KiloHZ", "frequency", "1e3"),
    ("MHz", "MegaHZ", "frequency", "1e6"),
    ("rad", "RAD", "angle", "1"),
    ("mrad", "MilliRAD", "angle", "1e-3"),
    ("urad", "MicroRAD", "angle", "1e-6"),
    ("Pa", "PA", "pressure", "1"),
    ("uPa", "MicroPA", "pressure", "1e-6"),
    ("mPa", "MilliPA", "pressure", "1e-3"),
    ("hPa", "HectoPA", "pressure", "1e2"),
    ("kPa", "KiloPA", "pressure", "1e3"),
    ("mbar", "MilliBAR", "pressure", "1e2"),
    ("bar", "BAR", "pressure", "1e5"),
    ("K", "K", "temperature", "1"),
    ("mK", "MilliK", "temperature", "1e-3"),
    (RATIO, "UNITLESS", "ratio", "1"),
    ("kx", "", "ratio", "1e3"),
    ("%", "PERCENT", "ratio", "1e-2"),
    ("counts", "NUM", "count", "1"),
)

UNITS: dict[str, Unit] = {
    unit.symbol: unit
    for unit in (
        *(Unit(symbol, qudt, kind, Decimal(size)) for symbol, qudt, kind, size in _ROWS),
        Unit("eV", "EV", "energy", _EV),
        Unit("meV", "", "energy", _EV / 1000),
        Unit("keV", "KiloEV", "energy", _EV * 1000),
        Unit("degree", "DEG", "angle", _DEGREE, exact=False),
        Unit("torr", "TORR", "pressure", _TORR, exact=False),
        Unit("degC", "DEG_C", "temperature", Decimal(1), offset=Decimal("273.15")),
    )
}

_SPELLINGS = {
    "m": "meter metre meters metres",
    "cm": "centimeter centimetre centimeters centimetres",
    "mm": "millimeter millimetre millimeters millimetres",
    "um": "micron microns micrometer micrometre micrometers micrometres",
    "nm": "nanometer nanometre nanometers nanometres",
    "pm": "picometer picometre picometers picometres",
    "angstrom": "Å A° Ang ang angstroms Ångström",
    "1/angstrom": "1/Å Å^-1 Å-1 1/Ang 1/A",
    "V": "volt volts",
    "kV": "KV kv kvolt kvolts kilovolt kilovolts",
    "mV": "millivolt millivolts",
    "MV": "megavolt megavolts",
    "eV": "ev EV electron_volt electronvolt electronvolts",
    "keV": "KeV kev KEV kiloelectron_volt kiloelectronvolt",
    "A": "amp amps ampere amperes",
    "mA": "milliamp milliamps milliampere milliamperes",
    "uA": "microamp microamps microampere microamperes",
    "nA": "nanoamp nanoamps nanoampere nanoamperes",
    "pA": "picoamp picoamps picoampere picoamperes",
    "s": "S sec secs second seconds",
    "ms": "mS msec msecs millisecond milliseconds",
    "us": "uS usec usecs microsecond microseconds",
    "ns": "nS nsec nsecs nanosecond nanoseconds",
    "min": "mins minute minutes",
    "h": "hr hrs hour hours",
    "rad": "radian radians",
    "mrad": "mR mr milliradian milliradians",
    "degree": "deg degs degrees dg °",
    "Pa": "pascal pascals",
    "torr": "Torr TORR",
    "mbar": "mBar millibar millibars",
    "bar": "Bar",
    "K": "kelvin kelvins",
    "degC": "°C celsius degree_Celsius",
    RATIO: "X times dimensionless 1",
    "kx": "KX kX Kx",
    "%": "percent",
    "counts": "count cts",
}

SPELLINGS: dict[str, str] = {
    **{symbol: symbol for symbol in UNITS},
    **{spelling: symbol for symbol, names in _SPELLINGS.items() for spelling in names.split()},
    **{
        f"{inner}{power}": f"1/{inner}"
        for inner in ("m", "cm", "um", "nm", "pm")
        for power in ("^-1", "-1", "**-1", "⁻¹")
    },
    **{f"1/({inner})": f"1/{inner}" for inner in ("m", "cm", "um", "nm", "pm")},
}
"""What vendors write, without spaces and with ``u`` for micro -> canonical symbol."""

_SHORTEST_NAME = 3
FOLDED: dict[str, str] = {
    spelling.lower(): symbol
    for symbol, names in _SPELLINGS.items()
    for spelling in (symbol, *names.split())
    if spelling.isalpha() and len(spelling) >= _SHORTEST_NAME
}
"""Names of units in lower case, for those that vendors write in any; symbols are not among them."""

WRITTEN: dict[str, str] = {
    **{f"u{unit}": f"µ{unit}" for unit in ("m", "A", "V", "s", "rad", "Pa")},
    "1/um": "1/µm",
    "degree": "°",
    "degC": "°C",
    "angstrom": "Å",
    "1/angstrom": "1/Å",
}
"""Canonical symbol -> what people write, where that is no ASCII."""
