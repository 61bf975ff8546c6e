"""What a collection serves: its rows, space and index, and the states of them it published."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from tashihiki.errors import TashihikiError
from tashihiki_server.catalogue.base import Catalogue
from tashihiki_server.collection.rows import Rows, RowsView
from tashihiki_server.index.generation import IndexGeneration
from tashihiki_server.space.base import AttributeSpace
from tashihiki_server.space.prototype import Prototypes
from tashihiki_server.vocabulary import Vocabulary

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class State:
    """What a search sees: one moment of the collection.

    Attributes:
        generation: rises with every publication.
        rows: the gallery.
        space: composes queries; the rows hold its gallery vectors.
        index: over the frozen rows, or None.
        identity: of what made the vectors of the rows, and of the history of their versions.
    """

    generation: int
    rows: RowsView
    space: AttributeSpace
    index: IndexGeneration | None
    identity: str


class Gallery:
    """The parts of a collection that a write or the background replaces.

    Whoever changes one holds `lock` until the change is published, so that every state is whole.

    Attributes:
        name: of the collection.
        catalogue: the truth.
        vocabulary: of the items' labels.
        lock: of all that follows.
        closed: nothing is to be published any more.
        space: that the rows' vectors are of.
        prototypes: that the next state's space has.
        rows: the items.
        index: over the frozen rows, or None.
        state: the latest published one, to read without the lock.
    """

    def __init__(
        self,
        name: str,
        encoder: str,
        catalogue: Catalogue,
        vocabulary: Vocabulary,
        space: AttributeSpace,
    ) -> None:
        self.name = name
        self.catalogue = catalogue
        self.vocabulary = vocabulary
        self.lock = threading.RLock()
        self.closed = False
        self.space = space
        self.prototypes = Prototypes()
        self.rows = Rows(space.dimension, vocabulary)
        self.index: IndexGeneration | None = None
        self._encoder = encoder
        self.state = self._moment()

    @property
    def identity(self) -> str:
        """Of what made the vectors of the rows, and of the history that their versions are of."""
        return f"{self._encoder}/{self.space.identity}/{self.catalogue.lineage}"

    def publish(self) -> None:
        """Makes what there is now what searches see, after a write to the catalogue."""
        self.state = self._moment()

    def advance(self) -> None:
        """Publishes what no write to the catalogue stands behind, under a number of its own."""
        try:
            self.catalogue.advance_generation()
        except TashihikiError as error:
            # A full disk must not keep prototypes or an index old.
            logger.warning("%s: the generation stays as it is: %s", self.name, error)
        self.publish()

    def _moment(self) -> State:
        return State(
            self.catalogue.generation,
            self.rows.view(),
            self.space.with_prototypes(self.prototypes),
            self.index,
            self.identity,
        )
