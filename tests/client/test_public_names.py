from __future__ import annotations

import tashihiki

_NAMES = """
AbortedError
AlreadyExistsError AsyncClient BlockSimilarity CancelledError Client Collection ComposeResult
ComposedBlock Composition Contribution DeadlineExceededError DeleteResult Duplicate
DuplicateGroup EncoderChange FacetAngle FacetDiagnostics FacetSummary FailedPreconditionError
Filter HealthStatus Hit IndexStatus InternalError InvalidArgumentError Item ItemError
KeepAliveConfig LabelSuggestion LabelSuggestions NotFoundError RecallPoint ResolvedTerm
ResourceExhaustedError RetryConfig Sample Search SearchResult SearchRoute Snapshot Space
SpaceDiagnostics StoredItem TLSConfig TashihikiError Timings UnavailableError UnknownError
UnresolvedTerm UpsertResult ValueSummary
attribute exists facet image item metadata vector
"""


def test_the_public_names_are_these() -> None:
    assert tashihiki.__all__ == sorted(tashihiki.__all__)
    assert all(hasattr(tashihiki, name) for name in tashihiki.__all__)
    assert sorted(tashihiki.__all__) == sorted(_NAMES.split())
    assert dir(tashihiki) == sorted([*tashihiki.__all__, "errors", "status", "v1"])
