"""Writes the broker's resources for NACK, from the topology: ``python -m scripts.nack``.

For clusters where NACK keeps streams, consumers and buckets; then `nexuslims provision` is not run.
"""

from pathlib import Path
from typing import Any, Final

import yaml
from nats.js.api import DiscardPolicy, StreamConfig

from nexuslims_contracts.topology import (
    BUCKETS,
    CONSUMERS,
    EVENTS,
    STREAMS,
    ConsumerSpec,
)
from nexuslims_shared.broker import bucket_config, consumer_config, stream_config

FILE: Final = Path(__file__).resolve().parents[1] / "k8s" / "nats" / "nack.yaml"
REPLICAS: Final = 3
_HEAD: Final = """\
# Streams, consumers and buckets for NACK, instead of the job `provision`.
# Written by `python -m scripts.nack` from nexuslims_contracts.topology.
"""


def stream(config: StreamConfig) -> dict[str, Any]:
    """Return a stream: of events, of dead letters, or a bucket, which the server keeps as one.

    NACK's own buckets would keep what is erased, and let one message remove all others.
    """
    described: dict[str, Any] = {
        "name": config.name,
        "description": config.description,
        "subjects": list(config.subjects or ()),
        "retention": "limits",
        "storage": "file",
        "replicas": config.num_replicas,
        "duplicateWindow": _seconds(config.duplicate_window or 0.0),
        "discard": "new" if config.discard == DiscardPolicy.NEW else "old",
        "denyDelete": bool(config.deny_delete),
        "denyPurge": bool(config.deny_purge),
        "allowDirect": bool(config.allow_direct),
        "allowRollup": bool(config.allow_rollup_hdrs),
        "allowMsgTtl": bool(config.allow_msg_ttl),
        "allowAtomicPublish": bool(config.allow_atomic),
        "preventDelete": True,
    }
    limits = {"maxMsgsPerSubject": config.max_msgs_per_subject, "maxMsgSize": config.max_msg_size}
    described |= {name: limit for name, limit in limits.items() if limit and limit > 0}
    if config.max_age:
        described["maxAge"] = _seconds(config.max_age)
    name = (config.name or "").removeprefix("KV_")
    return _resource("Stream", name, described)


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


def rendered() -> str:
    """Return all of them as YAML."""
    streams = [stream_config(one, REPLICAS) for one in STREAMS]
    streams += [bucket_config(one, REPLICAS) for one in BUCKETS]
    documents = [*map(stream, streams), *map(consumer, CONSUMERS)]
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
