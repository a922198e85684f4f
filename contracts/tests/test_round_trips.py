"""What is written is read back: every event, and the metadata of every dataset type."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexuslims_contracts.envelope import decode, encode, envelop
from nexuslims_contracts.events import EVENT_TYPES, Event, MetadataExtracted
from nexuslims_contracts.metadata import MODELS
from nexuslims_contracts.published.schemas import event_schemas, inlined, metadata_schemas
from nexuslims_contracts.testing import SessionEvents

Fitting = Callable[[dict[str, Any]], st.SearchStrategy[Any]]

EVENT_SCHEMAS = {name: inlined(schema) for name, schema in event_schemas().items()}
METADATA_SCHEMAS = {name: inlined(schema) for name, schema in metadata_schemas().items()}
NOW = datetime(2026, 3, 4, tzinfo=UTC)
LARGE = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Metadata have some fifty fields: on a busy machine drawing them takes long."""


@pytest.mark.parametrize("model", EVENT_TYPES.values(), ids=lambda model: model.name)
@given(data=st.data())
def test_every_event_survives_the_wire(
    fitting_schema: Fitting, model: type[Event], data: st.DataObject
) -> None:
    payload = data.draw(fitting_schema(EVENT_SCHEMAS[model.type_name()]))
    envelope = envelop(model.model_validate(payload), source="test", time=NOW)
    back = decode(*encode(envelope))
    assert back == envelope
    assert back.id == envelope.id == back.event.id


@given(data=st.data())
def test_an_event_read_without_datasets_has_all_the_rest(
    fitting_schema: Fitting, data: st.DataObject
) -> None:
    payload = data.draw(fitting_schema(EVENT_SCHEMAS[MetadataExtracted.type_name()]))
    mark = data.draw(st.sampled_from(["", ',"datasets":[', '],"artifacts":[']))
    event = MetadataExtracted.model_validate({**payload, "reason": mark, "request": mark})
    headers, stored = encode(envelop(event, source="test", time=NOW))
    light = event.model_copy(update={"datasets": ()})
    assert decode(headers, stored, datasets=False).event == light
    other_order = json.dumps(dict(reversed(json.loads(stored).items()))).encode()
    assert decode(headers, other_order, datasets=False).event == light


def test_datasets_are_left_out_without_being_parsed() -> None:
    event = SessionEvents().extracted(1)
    headers, stored = encode(envelop(event, source="test", time=NOW))
    damaged = stored.replace(b'"datasets":[', b'"datasets":[no JSON,')
    assert decode(headers, damaged, datasets=False).event.file == event.file  # type: ignore[attr-defined]


@pytest.mark.parametrize("dataset_type", MODELS)
@LARGE
@given(data=st.data())
def test_metadata_that_fit_the_published_schema_are_valid_and_stay_as_they_are(
    fitting_schema: Fitting, dataset_type: str, data: st.DataObject
) -> None:
    raw = data.draw(fitting_schema(METADATA_SCHEMAS[dataset_type]))
    model = MODELS[dataset_type]
    once = model.model_validate(raw)
    assert model.model_validate(once.model_dump(exclude_none=True)) == once
