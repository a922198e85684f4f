"""Dashboards of Grafana, by its own typed builders, so that they keep to its schema."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from grafana_foundation_sdk.builders import prometheus, stat, table, tempo, timeseries
from grafana_foundation_sdk.builders.common import ReduceDataOptions
from grafana_foundation_sdk.builders.dashboard import Dashboard as DashboardBuilder
from grafana_foundation_sdk.builders.dashboard import DashboardLink, Row, TextBoxVariable
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DashboardLinkType, DataSourceRef

RATE: Final = "$__rate_interval"
PROMETHEUS: Final = DataSourceRef(type_val="prometheus", uid="prometheus")
TEMPO: Final = DataSourceRef(type_val="tempo", uid="tempo")


@dataclass(frozen=True, slots=True)
class Chart:
    """A query over time; ``number`` shows its last value instead."""

    title: str
    query: str
    legend: str = ""
    unit: str = "short"
    number: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Traces:
    """A list of traces that a TraceQL query finds."""

    title: str
    query: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A dashboard: rows of panels, by their titles."""

    name: str
    title: str
    description: str
    rows: dict[str, Sequence[Chart | Traces]]
    variable: str = ""


def rate(metric: str, by: str, where: str = "") -> str:
    """Return how often something happens per second.

    Parameters
    ----------
    metric
        A counter.
    by
        Labels to keep.
    where
        A selector of labels.
    """
    return f"sum by ({by}) (rate({metric}{{{where}}}[{RATE}]))"


def quantile(share: float, histogram: str, by: str, where: str = "") -> str:
    """Return a quantile of a histogram.

    Parameters
    ----------
    share
        Which, from 0 to 1.
    histogram
        Its name.
    by
        Labels to keep.
    where
        A selector of labels.
    """
    return (
        f"histogram_quantile({share},"
        f" sum by ({by}, le) (rate({histogram}_bucket{{{where}}}[{RATE}])))"
    )


def written(dashboard: Dashboard) -> str:
    """Return a dashboard as Grafana's JSON."""
    builder = (
        DashboardBuilder(f"NexusLIMS: {dashboard.title}")
        .uid(f"nexuslims-{dashboard.name}")
        .description(dashboard.description)
        .tags(["nexuslims"])
        .link(
            DashboardLink("Others")
            .type(DashboardLinkType.DASHBOARDS)
            .tags(["nexuslims"])
            .keep_time(True)
        )
        .refresh("30s")
        .time("now-6h", "now")
    )
    if dashboard.variable:
        builder = builder.with_variable(TextBoxVariable(dashboard.variable).label("Session"))
    for title, panels in dashboard.rows.items():
        builder = builder.with_row(Row(title))
        for panel in panels:
            builder = builder.with_panel(_panel(panel))
    text = JSONEncoder(sort_keys=True, indent=2).encode(builder.build())
    return f"{text}\n"


def queries(dashboard: Dashboard) -> Iterator[str]:
    """Return the PromQL of a dashboard."""
    for panels in dashboard.rows.values():
        for panel in panels:
            if isinstance(panel, Chart):
                yield panel.query


def _panel(panel: Chart | Traces) -> timeseries.Panel | stat.Panel | table.Panel:
    if isinstance(panel, Traces):
        query = tempo.TempoQuery().query(panel.query).query_type("traceql").limit(100).ref_id("A")
        return (
            table.Panel()
            .title(panel.title)
            .description(panel.note)
            .datasource(TEMPO)
            .span(24)
            .height(7)
            .with_target(query)
        )
    if panel.number:
        target = prometheus.Dataquery().expr(panel.query).instant().ref_id("A")
        return (
            stat.Panel()
            .title(panel.title)
            .description(panel.note)
            .datasource(PROMETHEUS)
            .unit(panel.unit)
            .span(6)
            .height(4)
            .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
            .with_target(target)
        )
    target = prometheus.Dataquery().expr(panel.query).range().exemplar(True).ref_id("A")
    return (
        timeseries.Panel()
        .title(panel.title)
        .description(panel.note)
        .datasource(PROMETHEUS)
        .unit(panel.unit)
        .min(0)
        .span(12)
        .height(8)
        .with_target(target.legend_format(panel.legend or panel.title))
    )
