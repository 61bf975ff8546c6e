from __future__ import annotations

import tashihiki

_NAMES = """
AlreadyExistsError AsyncClient BlockSimilarity CancelledError Client Collection
ComposeResult ComposedBlock Composition Contribution DeadlineExceededError DeleteResult
FacetAngle FacetDiagnostics FacetSummary FailedPreconditionError Filter HealthStatus Hit
InternalError InvalidArgumentError Item ItemError KeepAliveConfig NotFoundError
ResolvedTerm ResourceExhaustedError RetryConfig Search SearchResult SearchRoute Space
SpaceDiagnostics StoredItem TLSConfig TashihikiError UnavailableError UnknownError
UnresolvedTerm UpsertResult ValueSummary
attribute facet image item vector
"""


def test_the_public_names_are_these() -> None:
    assert tashihiki.__all__ == sorted(tashihiki.__all__)
    assert all(hasattr(tashihiki, name) for name in tashihiki.__all__)
    assert sorted(tashihiki.__all__) == sorted(_NAMES.split())
