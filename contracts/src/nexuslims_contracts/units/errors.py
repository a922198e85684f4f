"""What can be wrong with a quantity."""

from nexuslims_contracts.errors import ContractError


class UnitError(ContractError, ValueError):
    """A value and a unit that make no quantity, or not the one that was asked for."""


class UnknownUnitError(UnitError):
    """A text names no unit."""


class WrongDimensionError(UnitError):
    """A quantity is of another kind than the one asked for."""


class NotANumberError(UnitError):
    """A value is no finite number."""
