"""Errors of the contracts: one small tree."""


class ContractError(Exception):
    """Something does not keep the contract of the boundary that it crosses."""


class UndecodableError(ContractError):
    """A stored message cannot be read as the event it claims to be."""


class UnknownEventError(UndecodableError):
    """A stored message has a type, or a version of one, that this release does not know."""


class MalformedXmlError(ContractError, ValueError):
    """A text is not well-formed XML.

    Parameters
    ----------
    problem
        What the parser found.
    line
        Where, from 1.
    """

    def __init__(self, problem: str, *, line: int) -> None:
        super().__init__(f"{problem} (line {line})")
        self.problem = problem
        self.line = line


class UnreadableRecordError(ContractError):
    """The XML of a record cannot be read."""


class InvalidTokenError(ContractError, ValueError):
    """A text cannot stand as a token of a subject."""


class PluginError(ContractError):
    """An installed plugin cannot be loaded, or is not what its entry point promises."""
