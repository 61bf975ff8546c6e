"""What the user of `tashihiki evaluate` asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tashihiki.errors import InvalidArgumentError
from tashihiki_evaluation.episodes import PROTOCOLS
from tashihiki_training.catalogue_options import CatalogueOptions
from tashihiki_training.settings import Settings


@dataclass(frozen=True)
class Recipe:
    """How an encoder is trained for each split.

    Attributes:
        settings: of the training.
        weights: that it starts from.
    """

    settings: Settings
    weights: str


@dataclass(frozen=True, kw_only=True)
class EvaluationRequest(CatalogueOptions):
    """The options of `tashihiki evaluate`; its --help explains them.

    Attributes:
        recipe: None where the encoder is there already.
    """

    out: Path
    encoder: str | None = None
    data: Path = Path("data")
    protocols: list[str] = field(default_factory=list)
    identity: str | None = None
    folds: int = 4
    seed: int = 0
    workers: int = 2
    recipe: Recipe | None = None

    def chosen_protocols(self) -> Sequence[str]:
        """The protocols by their names, in their order; all of them by default.

        Raises:
            InvalidArgumentError: SETTING_INVALID.
        """
        asked = {name.upper() for name in self.protocols}
        if unknown := sorted(asked - set(PROTOCOLS)):
            raise _setting(
                f"there is no protocol {unknown[0]}",
                "protocol",
                f"Choose of {', '.join(PROTOCOLS)}.",
            )
        return [name for name in PROTOCOLS if name in asked or not asked]


def _setting(message: str, field_name: str, remedy: str) -> InvalidArgumentError:
    return InvalidArgumentError(message, reason="SETTING_INVALID", field=field_name, remedy=remedy)
