"""Asset checks: what must hold before the graph goes on."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from chatbot_assets.tables import EVALUATIONS

MAY_BE_DEPLOYED = dg.AssetCheckSpec(
    "may_be_deployed",
    asset=EVALUATIONS.name,
    blocking=True,
    description="The model is good enough by itself and no worse than the champion; else nothing is deployed.",
)


def may_be_deployed(notes: Mapping[str, Any]) -> Iterator[dg.AssetCheckResult]:
    """The result of :data:`MAY_BE_DEPLOYED` from what the evaluation left in its commit."""
    gate = notes["gate"]
    yield dg.AssetCheckResult(
        check_name=MAY_BE_DEPLOYED.name,
        passed=gate["passed"],
        severity=dg.AssetCheckSeverity.ERROR,
        description=gate["reason"],
        metadata={name: value for name, value in notes["overall"].items() if value is not None},
    )
