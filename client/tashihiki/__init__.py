"""Image search by adding and subtracting images, items and attributes.

The public names are those in `__all__`, and the modules `errors`, `status` and `v1`.
"""

from tashihiki.aio import AsyncClient
from tashihiki.catalog import (
    Collection,
    DeleteResult,
    FacetAngle,
    FacetDiagnostics,
    FacetSummary,
    Item,
    ItemError,
    Space,
    SpaceDiagnostics,
    StoredItem,
    UpsertResult,
    ValueSummary,
)
from tashihiki.client import Client
from tashihiki.composition import Composition, attribute, facet, image, item, vector
from tashihiki.config import KeepAliveConfig, RetryConfig, TLSConfig
from tashihiki.errors import (
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
from tashihiki.filters import Filter
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
    UnresolvedTerm,
)

__all__ = [
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
    "FacetAngle",
    "FacetDiagnostics",
    "FacetSummary",
    "FailedPreconditionError",
    "Filter",
    "HealthStatus",
    "Hit",
    "InternalError",
    "InvalidArgumentError",
    "Item",
    "ItemError",
    "KeepAliveConfig",
    "NotFoundError",
    "ResolvedTerm",
    "ResourceExhaustedError",
    "RetryConfig",
    "Search",
    "SearchResult",
    "SearchRoute",
    "Space",
    "SpaceDiagnostics",
    "StoredItem",
    "TLSConfig",
    "TashihikiError",
    "UnavailableError",
    "UnknownError",
    "UnresolvedTerm",
    "UpsertResult",
    "ValueSummary",
    "attribute",
    "facet",
    "image",
    "item",
    "vector",
]
