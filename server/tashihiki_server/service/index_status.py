"""What a collection's searches look items up in, as a message."""

from __future__ import annotations

from collections.abc import Mapping

from tashihiki.v1 import catalog_pb2, search_pb2
from tashihiki_server.collection.collection import Collection
from tashihiki_server.index.base import Route

ROUTES: Mapping[Route, search_pb2.SearchRoute.ValueType] = {
    Route.EXACT: search_pb2.SEARCH_ROUTE_EXACT,
    Route.CELLS: search_pb2.SEARCH_ROUTE_CELLS,
    Route.GRAPH: search_pb2.SEARCH_ROUTE_INDEX,
}


def index_status(collection: Collection) -> catalog_pb2.IndexStatus:
    """The index that answers at present, and what its build measured."""
    state = collection.state
    status = catalog_pb2.IndexStatus(
        route=search_pb2.SEARCH_ROUTE_EXACT, pending=collection.index_pending
    )
    alive = state.rows.alive
    if state.index is None:
        status.newer_count = int(alive.sum())
        return status
    covered = state.index.count
    status.indexed_count = int(alive[:covered].sum())
    status.newer_count = int(alive[covered:].sum())
    status.removed_count = covered - status.indexed_count
    if state.index.index is not None:
        status.route = ROUTES[state.index.index.route]
    for point in state.index.calibration.points:
        status.curve.add(
            route=ROUTES[point.route],
            setting=point.setting,
            count=point.count,
            recall=point.recall,
            seconds=point.seconds,
            chosen=point.chosen,
        )
    return status
