"""What is written is read back: every event, and the metadata of every dataset type."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nexuslims_contracts.envelope import decode, encode, envelop
from nexuslims_contracts.events import EVENT_TYPES, Event
from nexuslims_contracts.metadata import MODELS
from nexuslims_contracts.published.schemas import event_schemas, inlined, metadata_schemas

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
