"""What the user of `tashihiki train` asked for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tashihiki_server.dataset import Dataset, parse_aliases, read_dataset
from tashihiki_training.most_frequent import most_frequent
from tashihiki_training.settings import PRESETS, Settings


@dataclass(frozen=True)
class TrainingRequest:
    """The options of `tashihiki train`; its --help explains them.

    Attributes:
        overrides: settings that differ from the preset's.
    """

    source: Path
    out: Path
    facets: list[str] = field(default_factory=list)
    top: list[str] = field(default_factory=list)
    pattern: str | None = None
    aliases: list[str] = field(default_factory=list)
    path_column: str | None = None
    id_column: str | None = None
    image_root: Path | None = None
    limit: int | None = None
    weights: str = "imagenet"
    preset: str = "default"
    overrides: dict[str, Any] = field(default_factory=dict)
    workers: int = 2
    device: str = "auto"
    max_minutes: float | None = None
    resume: bool = False
    name: str = "tashihiki"

    @property
    def settings(self) -> Settings:
        """The preset with what was asked for instead."""
        return replace(PRESETS[self.preset], **self.overrides)

    def dataset(self) -> Dataset:
        """Reads the catalogue and keeps the most frequent values.

        Raises:
            InvalidArgumentError: SETTING_INVALID, UNKNOWN_FACET, and as the readers do.
        """
        dataset = read_dataset(
            self.source,
            pattern=self.pattern,
            facets=self.facets or None,
            path_column=self.path_column,
            id_column=self.id_column,
            aliases=parse_aliases(self.aliases),
            image_root=self.image_root,
        )
        return most_frequent(dataset, self.top)
