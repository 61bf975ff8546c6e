"""Image search by adding and subtracting images, items and attributes.

The public names are those in `__all__`, and the modules `errors`, `status` and `v1`.
"""

from tashihiki.aio import AsyncClient
from tashihiki.catalog import (
    Collection,
    DeleteResult,
    EncoderChange,
    FacetAngle,
    FacetDiagnostics,
    FacetSummary,
    IndexStatus,
    Item,
    ItemError,
    RecallPoint,
    Space,
    SpaceDiagnostics,
    StoredItem,
    UpsertResult,
    ValueSummary,
)
from tashihiki.client import Client
from tashihiki.composition import Composition, attribute, facet, image, item, vector
from tashihiki.config import KeepAliveConfig, RetryConfig, TLSConfig
from tashihiki.discovery import (
    Duplicate,
    DuplicateGroup,
    LabelSuggestion,
    LabelSuggestions,
    Sample,
)
from tashihiki.errors import (
    AbortedError,
    AlreadyExistsError,
    CancelledError,
    DeadlineExceededError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
    TashihikiError,
    UnavailableError,
    UnknownError,
)
from tashihiki.filters import Filter, exists, metadata
from tashihiki.query import Search
from tashihiki.results import (
    BlockSimilarity,
    ComposedBlock,
    ComposeResult,
    Contribution,
    HealthStatus,
    Hit,
    ResolvedTerm,
    SearchResult,
    SearchRoute,
    Timings,
    UnresolvedTerm,
)
from tashihiki.snapshots import Snapshot

__all__ = [
    "AbortedError",
    "AlreadyExistsError",
    "AsyncClient",
    "BlockSimilarity",
    "CancelledError",
    "Client",
    "Collection",
    "ComposeResult",
    "ComposedBlock",
    "Composition",
    "Contribution",
    "DeadlineExceededError",
    "DeleteResult",
    "Duplicate",
    "DuplicateGroup",
    "EncoderChange",
    "FacetAngle",
    "FacetDiagnostics",
    "FacetSummary",
    "FailedPreconditionError",
    "Filter",
    "HealthStatus",
    "Hit",
    "IndexStatus",
    "InternalError",
    "InvalidArgumentError",
    "Item",
    "ItemError",
    "KeepAliveConfig",
    "LabelSuggestion",
    "LabelSuggestions",
    "NotFoundError",
    "RecallPoint",
    "ResolvedTerm",
    "ResourceExhaustedError",
    "RetryConfig",
    "Sample",
    "Search",
    "SearchResult",
    "SearchRoute",
    "Snapshot",
    "Space",
    "SpaceDiagnostics",
    "StoredItem",
    "TLSConfig",
    "TashihikiError",
    "Timings",
    "UnavailableError",
    "UnknownError",
    "UnresolvedTerm",
    "UpsertResult",
    "ValueSummary",
    "attribute",
    "exists",
    "facet",
    "image",
    "item",
    "metadata",
    "vector",
]


def __dir__() -> list[str]:
    # Editors and notebooks offer what this names; the rest are modules behind the public names.
    return [*__all__, "errors", "status", "v1"]
