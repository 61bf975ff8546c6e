"""What a building process is asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tashihiki_server.index.base import Route
from tashihiki_server.index.calibration import Calibration
from tashihiki_server.space.base import Block


@dataclass(frozen=True)
class Request:
    """What an index is to be built of.

    Attributes:
        blocks: of the space.
        facets: names of the columns of the labels.
        clip: whether a composition's negative coordinates are set to 0.
        target_recall: of the ten nearest rows of a composition; 1 for exact search.
        rest_weight: of an item's coordinates that belong to no facet.
        previous: calibration of the last index.
        previous_folder: of the last index, where it is of the same space: its centroids may do.
        routes: to choose from.
    """

    blocks: Sequence[Block]
    facets: Sequence[str]
    clip: bool = False
    target_recall: float = 0.99
    rest_weight: float = 1.0
    previous: Calibration | None = None
    previous_folder: Path | None = None
    routes: Sequence[Route] = tuple(Route)

    def to_json(self) -> str:
        """The request as text."""
        return json.dumps(
            {
                "blocks": [[block.facet, block.start, block.stop] for block in self.blocks],
                "facets": list(self.facets),
                "clip": self.clip,
                "target_recall": self.target_recall,
                "rest_weight": self.rest_weight,
                "previous": self.previous and json.loads(self.previous.to_json()),
                "previous_folder": self.previous_folder and str(self.previous_folder),
                "routes": [route.value for route in self.routes],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Request:
        """Reads what `to_json` wrote."""
        content = json.loads(text)
        previous, folder = content.get("previous"), content.get("previous_folder")
        return cls(
            blocks=[Block(*block) for block in content["blocks"]],
            facets=content["facets"],
            clip=content["clip"],
            target_recall=content["target_recall"],
            rest_weight=content.get("rest_weight", 1.0),
            previous=Calibration.from_json(json.dumps(previous)) if previous else None,
            previous_folder=Path(folder) if folder else None,
            routes=[Route(route) for route in content.get("routes", [r.value for r in Route])],
        )
