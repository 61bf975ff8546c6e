"""What the user of `tashihiki train` asked for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tashihiki_training.catalogue_options import CatalogueOptions
from tashihiki_training.settings import PRESETS, Settings


@dataclass(frozen=True, kw_only=True)
class TrainingRequest(CatalogueOptions):
    """The options of `tashihiki train`; its --help explains them.

    Attributes:
        overrides: settings that differ from the preset's.
        name: of the encoder; None for that of the folder `out`.
    """

    out: Path
    limit: int | None = None
    weights: str = "imagenet"
    preset: str = "default"
    overrides: dict[str, Any] = field(default_factory=dict)
    workers: int = 2
    device: str = "auto"
    max_minutes: float | None = None
    resume: bool = False
    name: str | None = None

    @property
    def encoder_name(self) -> str:
        """What the encoder is called."""
        return self.name or self.out.resolve().name

    @property
    def settings(self) -> Settings:
        """The preset with what was asked for instead."""
        return replace(PRESETS[self.preset], **self.overrides)
