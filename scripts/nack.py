"""Writes the broker's resources for NACK, from the topology: ``python -m scripts.nack``.

For clusters where NACK keeps streams, consumers and buckets; then `nexuslims provision` is not run.
"""

from pathlib import Path
from typing import Any, Final

import yaml

from nexuslims_contracts.topology import (
    BUCKETS,
    CONSUMERS,
    EVENTS,
    STREAMS,
    BucketSpec,
    ConsumerSpec,
    StreamSpec,
)
from nexuslims_shared.broker import consumer_config, stream_config

FILE: Final = Path(__file__).resolve().parents[1] / "k8s" / "nats" / "nack.yaml"
REPLICAS: Final = 3
_HEAD: Final = """\
# Streams, consumers and buckets for NACK, instead of the job `provision`.
# Written by `python -m scripts.nack` from nexuslims_contracts.topology.
"""


def stream(spec: StreamSpec) -> dict[str, Any]:
    """Return a stream of events or dead letters."""
    config = stream_config(spec, REPLICAS)
    return _resource(
        "Stream",
        spec.name,
        {
            "name": config.name,
            "description": config.description,
            "subjects": list(config.subjects or ()),
            "retention": "limits",
            "storage": "file",
            "replicas": config.num_replicas,
            "duplicateWindow": _seconds(spec.duplicate_window.total_seconds()),
            "denyDelete": bool(config.deny_delete),
            "denyPurge": bool(config.deny_purge),
            "allowDirect": bool(config.allow_direct),
            "allowAtomicPublish": bool(config.allow_atomic),
            "preventDelete": True,
        },
    )


def consumer(spec: ConsumerSpec) -> dict[str, Any]:
    """Return a durable consumer of events."""
    config = consumer_config(spec)
    return _resource(
        "Consumer",
        spec.name,
        {
            "streamName": EVENTS.name,
            "durableName": spec.name,
            "description": spec.description,
            "filterSubjects": list(spec.filters),
            "ackPolicy": "explicit",
            "deliverPolicy": "all",
            "replayPolicy": "instant",
            "ackWait": _seconds(spec.ack_wait.total_seconds()),
            "maxDeliver": spec.max_deliver,
            "maxAckPending": config.max_ack_pending,
            "preventDelete": True,
        },
    )


def bucket(spec: BucketSpec) -> dict[str, Any]:
    """Return a key-value bucket."""
    described: dict[str, Any] = {
        "bucket": spec.name,
        "description": spec.description,
        "history": 1,
        "replicas": REPLICAS,
        "storage": "file",
        "preventDelete": True,
    }
    if spec.ttl is not None:
        described["ttl"] = _seconds(spec.ttl.total_seconds())
    return _resource("KeyValue", spec.name, described)


def rendered() -> str:
    """Return all of them as YAML."""
    documents = [*map(stream, STREAMS), *map(consumer, CONSUMERS), *map(bucket, BUCKETS)]
    return _HEAD + yaml.safe_dump_all(documents, sort_keys=False)


def main() -> None:
    """Write the file."""
    FILE.write_text(rendered(), encoding="utf-8")


def _resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "jetstream.nats.io/v1beta2",
        "kind": kind,
        "metadata": {"name": name.lower().replace("_", "-")},
        "spec": spec,
    }


def _seconds(seconds: float) -> str:
    return f"{seconds:g}s"


if __name__ == "__main__":
    main()
