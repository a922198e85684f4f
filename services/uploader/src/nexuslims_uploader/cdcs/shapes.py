"""What a CDCS 2.18 core answers, as far as we read it."""

from typing import TypeAlias

from pydantic import BaseModel

Id: TypeAlias = int | str
"""Numbers, that are texts in some answers."""


class Data(BaseModel):
    """A record as CDCS holds it."""

    id: Id
    title: str
    template: Id | None = None
    workspace: Id | None = None
    user_id: Id | None = None
    xml_content: str


class Workspace(BaseModel):
    """A place that says who sees a record."""

    id: Id
    title: str


class Template(BaseModel):
    """A schema with its versions; records are made with the current one."""

    title: str
    current: Id
    is_disabled: bool = False


class Page(BaseModel):
    """Some of the records that were asked for."""

    results: list[Data]


class Task(BaseModel):
    """Work that CDCS does by itself."""

    state: str


class User(BaseModel):
    """An account."""

    id: Id
    username: str


class Blob(BaseModel):
    """A file beside the records."""

    id: Id
    filename: str
