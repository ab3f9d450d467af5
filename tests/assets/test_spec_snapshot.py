"""The graph as text beside this file, so that a change of any asset's declaration shows in a review.

After an intended change: ``python tests/assets/test_spec_snapshot.py`` writes the text anew.
"""

from pathlib import Path

from chatbot_assets.definitions import build_defs
from chatbot_assets.delta_asset import STAGE_TAG

SNAPSHOT = Path(__file__).with_name("specs.txt")


def describe_graph() -> str:
    """Every asset with its group, stage, inputs, kinds, owners and checks, in the order of their names."""
    definitions = build_defs()
    graph = definitions.resolve_asset_graph()
    checks = {
        key: sorted(
            f"{check.key.name}{' (blocking)' if graph.get_check_spec(check.key).blocking else ''}"
            for check in graph.asset_check_nodes
            if check.key.asset_key == key
        )
        for key in graph.get_all_asset_keys()
    }
    blocks = []
    for key in sorted(graph.get_all_asset_keys()):
        node = graph.get(key)
        lines = {
            "group": node.group_name,
            "stage": node.tags[STAGE_TAG],
            "made by": "a refresh" if node.is_materializable else "others; observed",
            "partitions": node.partitions_def.name if node.partitions_def else "none",
            "deps": ", ".join(sorted(parent.to_user_string() for parent in node.parent_keys)),
            "kinds": ", ".join(sorted(node.kinds or ())),
            "owners": ", ".join(node.owners),
            "checks": ", ".join(checks[key]),
        }
        blocks.append(
            "\n".join([key.to_user_string(), *(f"  {name}: {value or '-'}" for name, value in lines.items())])
        )
    return "\n\n".join(blocks) + "\n"


def test_the_graph_is_the_one_that_was_reviewed() -> None:
    assert describe_graph() == SNAPSHOT.read_text(encoding="utf-8"), (
        f"the graph has changed; if that is meant, run: python {Path(__file__).relative_to(Path.cwd())}"
    )


if __name__ == "__main__":
    SNAPSHOT.write_text(describe_graph(), encoding="utf-8")
