"""Writes the alerts as the Prometheus Operator takes them: ``python -m scripts.prometheus_rule``.

Kustomize reads no files outside of its folder, so `operations/prometheus/alerts.yml` is repeated.
"""

from pathlib import Path
from typing import Final

import yaml

_CHECKOUT: Final = Path(__file__).resolve().parents[1]
_ALERTS: Final = _CHECKOUT / "operations" / "prometheus" / "alerts.yml"
FILE: Final = _CHECKOUT / "k8s" / "components" / "prometheus-operator" / "rules.yaml"
_HEAD: Final = """\
# The alerts, for the operator's Prometheus.
# Written by `python -m scripts.prometheus_rule` from operations/prometheus/alerts.yml.
"""


def rendered() -> str:
    """Return the object as YAML."""
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "nexuslims"},
        "spec": yaml.safe_load(_ALERTS.read_text(encoding="utf-8")),
    }
    return _HEAD + yaml.safe_dump(rule, sort_keys=False, width=100, allow_unicode=True)


def main() -> None:
    """Write the file."""
    FILE.write_text(rendered(), encoding="utf-8")


if __name__ == "__main__":
    main()
