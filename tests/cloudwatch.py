"""CloudWatch as far as an alarm sees it: data points by period, and the state that AWS's documented rules give them.

The rules are those of the CloudWatch user guide, "Configuring how CloudWatch alarms treat missing data". How far back
an alarm looks beyond its evaluation periods AWS does not say; the guide's examples look back over two more.
"""

import json
import operator
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

BEYOND = 2  # periods that are looked at beyond the evaluation periods
STATISTICS: dict[str, Callable[[list[float]], float]] = {"Sum": sum, "Maximum": max}
BREACHES: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
}
TOPIC = {"Ref": "AlarmTopic"}

Metric = tuple[str, str, frozenset[tuple[str, str]]]


def state(points: Sequence[bool | None], alarm: Mapping[str, Any]) -> str:
    """The state that these points lead to, oldest first: True breaches the threshold, None is missing."""
    periods = alarm["EvaluationPeriods"]
    to_alarm = alarm.get("DatapointsToAlarm", periods)
    real = [point for point in points if point is not None][-periods:]
    lacking = periods - len(real)
    if lacking == 0 or alarm["TreatMissingData"] != "missing":
        filled = real + [alarm["TreatMissingData"] == "breaching"] * lacking
        return "ALARM" if filled.count(True) >= to_alarm else "OK"
    if real.count(True) >= to_alarm:
        return "ALARM"
    if False in real:
        return "OK"
    is_long_ago = True in points and len(points) - list(points).index(True) >= to_alarm
    return "ALARM" if is_long_ago else "INSUFFICIENT_DATA"


def metric_of(alarm: Mapping[str, Any]) -> Metric:
    """What an alarm of the template watches, named by the template's own names."""
    namespace = alarm["Namespace"]
    if isinstance(namespace, dict):
        namespace = namespace["Fn::Sub"].replace("${AWS::StackName}", "careloop")
    dimensions = {each["Name"]: each["Value"] for each in alarm.get("Dimensions", ())}
    named = {name: value.get("Ref") or value["Fn::GetAtt"][0] for name, value in dimensions.items()}
    return namespace, alarm["MetricName"], frozenset(named.items())


class CloudWatch:
    """Takes data points, and says which state an alarm has and whether that sent a mail."""

    def __init__(self, beyond: int = BEYOND) -> None:
        self._beyond = beyond
        self._points: dict[Metric, list[tuple[datetime, float]]] = defaultdict(list)
        self.states: dict[str, str] = {}

    def put(self, at: datetime, namespace: str, name: str, value: float, **dimensions: str) -> None:
        """A data point as a service of AWS makes it."""
        self._points[namespace, name, frozenset(dimensions.items())].append((at, value))

    def read(self, at: datetime, log: str) -> None:
        """The data points that CloudWatch finds in what a function logged: lines in the embedded metric format."""
        for line in log.splitlines():
            found = json.loads(line) if line.startswith("{") else {}
            for directive in found.get("_aws", {}).get("CloudWatchMetrics", ()):
                for names in directive["Dimensions"]:
                    dimensions = {name: str(found[name]) for name in names}
                    for metric in directive["Metrics"]:
                        self.put(at, directive["Namespace"], metric["Name"], found[metric["Name"]], **dimensions)

    def mails(self, name: str, alarm: Mapping[str, Any], at: datetime) -> str:
        """Evaluate an alarm; the state of which the topic is told, if that is new."""
        before, after = self.states.get(name, "INSUFFICIENT_DATA"), self._state(alarm, at)
        self.states[name] = after
        told = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}[after]
        return after if after != before and TOPIC in alarm.get(told, ()) else ""

    def _state(self, alarm: Mapping[str, Any], at: datetime) -> str:
        period, points = timedelta(seconds=alarm["Period"]), self._points[metric_of(alarm)]
        statistic, breaches = STATISTICS[alarm["Statistic"]], BREACHES[alarm["ComparisonOperator"]]

        def judged(ago: int) -> bool | None:
            found = [value for when, value in points if ago <= (at - when) / period < ago + 1]
            return breaches(statistic(found), alarm["Threshold"]) if found else None

        return state([judged(ago) for ago in reversed(range(alarm["EvaluationPeriods"] + self._beyond))], alarm)
