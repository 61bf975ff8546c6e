"""Which labelled photos a command reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tashihiki_server.dataset import Dataset, parse_aliases, read_dataset
from tashihiki_training.most_frequent import most_frequent


@dataclass(frozen=True, kw_only=True)
class CatalogueOptions:
    """The options that name a catalogue, as `tashihiki train` and `evaluate` take them."""

    source: Path
    facets: list[str] = field(default_factory=list)
    top: list[str] = field(default_factory=list)
    pattern: str | None = None
    aliases: list[str] = field(default_factory=list)
    path_column: str | None = None
    id_column: str | None = None
    image_root: Path | None = None

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
