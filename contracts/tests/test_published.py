"""The published forms: they say what the models say, and a change that hurts is refused."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft202012Validator
from jsonschema.validators import validator_for
from pydantic import AwareDatetime, Field, create_model

from nexuslims_contracts.events import EVENT_TYPES
from nexuslims_contracts.model import ContractModel
from nexuslims_contracts.published import forms
from nexuslims_contracts.published.__main__ import main
from nexuslims_contracts.published.compatibility import breaks
from nexuslims_contracts.published.schemas import inlined
from nexuslims_contracts.topology import CONSUMERS, STATED_BY

REPOSITORY = Path(__file__).parents[2]


def test_they_are_up_to_date() -> None:
    assert forms.outdated(REPOSITORY) == [], "run `make contracts` and commit what it writes"


@pytest.mark.parametrize("folder", [forms.EVENTS, forms.METADATA])
def test_every_schema_is_one(folder: Path) -> None:
    for path in (REPOSITORY / folder).glob("*.json"):
        Draft202012Validator.check_schema(json.loads(path.read_text(encoding="utf-8")))


class Part(ContractModel):
    """A part of an event."""

    unit: str
    kind: Literal["a", "b"] = "a"


class Sample(ContractModel):
    """An event as it was released."""

    start: AwareDatetime
    note: str = ""
    count: Annotated[int, Field(ge=0)]
    parts: tuple[Part, ...] = ()
    part: Part | None = None


def changed(**fields: Any) -> type[ContractModel]:
    return create_model("Sample", __base__=Sample, **fields)


class Wider(Part):
    """The part with one more choice."""

    kind: Literal["a", "b", "c"] = "a"  # type: ignore[assignment] # that is the mistake under test


class Fuller(Part):
    """The part with one more optional field."""

    factor: float = 1.0


def without(field: str) -> type[ContractModel]:
    kept = {
        name: (info.annotation, info) for name, info in Sample.model_fields.items() if name != field
    }
    return create_model("Sample", __base__=ContractModel, **kept)


@pytest.mark.parametrize(
    ("model", "complaint"),
    [
        (without("note"), "note: is gone"),
        (without("count"), "count: is gone"),
        (changed(zone=(str, ...)), "zone: is new and has to be there"),
        (changed(note=(str, ...)), "note: could be missing and now has to be there"),
        (changed(start=(AwareDatetime | None, None)), "start: had to be there and may now be miss"),
        (changed(count=(str, ...)), "count: its type was 'integer' and is 'string'"),
        (changed(count=(Annotated[int, Field(ge=1)], ...)), "count: its minimum was 0 and is 1"),
        (changed(parts=(tuple[Wider, ...], ())), r"parts\[\].kind: its enum was"),
        (changed(part=(Wider | None, None)), r"part.kind: its enum was"),
        (changed(note=(str, "none")), "note: its default was '' and is 'none'"),
    ],
)
def test_a_change_that_a_release_could_not_read_is_named(
    model: type[ContractModel], complaint: str
) -> None:
    found = breaks(Sample.model_json_schema(), model.model_json_schema())
    assert any(complaint.replace("\\", "") in one for one in found), found


@pytest.mark.parametrize(
    "model",
    [
        Sample,
        changed(zone=(str, "UTC")),
        changed(parts=(tuple[Fuller, ...], ())),
        changed(part=(Fuller | None, None)),
        changed(note=(Annotated[str, Field(description="In other words")], "")),
    ],
)
def test_a_new_optional_field_or_another_description_hurts_nobody(
    model: type[ContractModel],
) -> None:
    assert breaks(Sample.model_json_schema(), model.model_json_schema()) == []


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    forms_now = forms.forms(REPOSITORY)
    for path, text in forms_now.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text, encoding="utf-8")
    return tmp_path


def test_writing_again_changes_nothing_and_repairs_what_was_touched(repository: Path) -> None:
    assert forms.write(repository) == []
    (repository / forms.METADATA_PAGE).write_text("something", encoding="utf-8")
    (repository / forms.METADATA / "Old.json").write_text("{}", encoding="utf-8")
    assert forms.outdated(repository) == [forms.METADATA / "Old.json", forms.METADATA_PAGE]
    assert main(repository) == 0
    assert forms.outdated(repository) == []


def alter(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    schema = json.loads(path.read_text(encoding="utf-8"))
    change(schema)
    path.write_text(json.dumps(schema), encoding="utf-8")


def test_a_model_that_changed_within_its_version_is_not_published(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = repository / forms.EVENTS / "nexuslims.session.ended.v1.json"
    alter(path, lambda schema: schema["properties"].update(weather={"type": "string"}))
    assert main(repository) == 1
    errors = capsys.readouterr().err
    assert "nexuslims.session.ended.v1: weather: is gone" in errors
    assert "new version, with an upcaster" in errors


def test_an_event_may_not_disappear(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    known = repository / forms.EVENTS / "nexuslims.session.ended.v1.json"
    known.with_name("nexuslims.session.paused.v1.json").write_bytes(known.read_bytes())
    assert main(repository) == 1
    assert "session.paused.v1: no model and no upcaster reads it" in capsys.readouterr().err


def test_the_schema_of_an_old_version_is_kept(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repository / forms.EVENTS / "nexuslims.record.rejected.v1.json").unlink()
    assert main(repository) == 1
    assert "restore the file" in capsys.readouterr().err


@pytest.fixture(scope="module")
def asyncapi() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((REPOSITORY / forms.ASYNCAPI).read_text(encoding="utf-8"))
    return document


def test_asyncapi_is_valid_under_the_official_schema(
    asyncapi: dict[str, Any], asyncapi_schema: dict[str, Any]
) -> None:
    official = validator_for(asyncapi_schema)(asyncapi_schema)
    assert [error.message for error in official.iter_errors(asyncapi)] == []
    damaged = copy.deepcopy(asyncapi)
    damaged["operations"]["builder.states.record.built"]["action"] = "shout"
    assert not official.is_valid(damaged)


def test_every_reference_in_asyncapi_leads_somewhere(asyncapi: dict[str, Any]) -> None:
    def references(node: Any) -> list[str]:
        if isinstance(node, list):
            return [found for item in node for found in references(item)]
        if not isinstance(node, dict):
            return []
        own = [node["$ref"]] if "$ref" in node else []
        return own + [found for value in node.values() for found in references(value)]

    for reference in references(asyncapi):
        target = asyncapi
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        assert target


def test_asyncapi_tells_who_says_what_and_who_listens(asyncapi: dict[str, Any]) -> None:
    operations = asyncapi["operations"]
    assert {model.name for model in EVENT_TYPES.values()} < asyncapi["channels"].keys()
    for service, models in STATED_BY.items():
        for model in models:
            sent = operations[f"{service}.states.{model.name}"]
            assert sent["messages"] == [
                {"$ref": f"#/channels/{model.name}/messages/v{model.version}"}
            ]
    handled = [name for name in operations if ".handles." in name]
    assert len(handled) == sum(len(consumer.filters) for consumer in CONSUMERS)
    versions = asyncapi["channels"]["record.rejected"]["messages"]
    assert versions.keys() == {"v1", "v2"}


def test_inlining_leaves_no_reference() -> None:
    schema = inlined(Sample.model_json_schema())
    assert "$ref" not in json.dumps(schema)
    assert schema["properties"]["parts"]["items"]["properties"]["unit"]["type"] == "string"
