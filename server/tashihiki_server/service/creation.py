"""What a new collection is asked to be, checked."""

from __future__ import annotations

from tashihiki.errors import InvalidArgumentError
from tashihiki.v1 import catalog_pb2
from tashihiki_server.names import fold
from tashihiki_server.vocabulary import Alias

DEFAULT_TARGET_RECALL = 0.99
MIN_TARGET_RECALL = 0.5

SPACES = {
    catalog_pb2.SPACE_KIND_UNSPECIFIED: "auto",
    catalog_pb2.SPACE_KIND_SUM: "sum",
    catalog_pb2.SPACE_KIND_FACTORED: "factored",
}


def space_of(space: catalog_pb2.Space) -> str:
    """`auto`, `sum` or `factored`.

    Raises:
        InvalidArgumentError: SPACE_UNKNOWN, or SPACE_INVALID for settings that exclude each other.
    """
    kind = SPACES.get(space.kind)
    if kind is None:
        raise InvalidArgumentError(
            f"no attribute space {space.kind}",
            reason="SPACE_UNKNOWN",
            field="collection.space.kind",
            remedy="Use SPACE_KIND_SUM or SPACE_KIND_FACTORED, or leave it unspecified.",
        )
    if space.keep_negative and kind == "factored":
        raise InvalidArgumentError(
            "keep_negative is a setting of the sum",
            reason="SPACE_INVALID",
            field="collection.space.keep_negative",
            remedy="Leave keep_negative out, or use SPACE_KIND_SUM.",
        )
    return "sum" if space.keep_negative else kind


def target_recall_of(wanted: float) -> float:
    """The recall that searches shall reach; the default for 0.

    Raises:
        InvalidArgumentError: OUT_OF_RANGE.
    """
    if not wanted:
        return DEFAULT_TARGET_RECALL
    # Also false for NaN.
    if not MIN_TARGET_RECALL <= wanted <= 1:
        raise InvalidArgumentError(
            f"a target recall of {wanted}",
            reason="OUT_OF_RANGE",
            field="collection.target_recall",
            remedy=f"Use {MIN_TARGET_RECALL} to 1, or 0 for {DEFAULT_TARGET_RECALL}.",
        )
    return wanted


def aliases_of(collection: catalog_pb2.Collection) -> tuple[Alias, ...]:
    """Other names of values.

    Raises:
        InvalidArgumentError: ALIAS_INVALID.
    """
    aliases = tuple(Alias(a.facet, a.alias, a.value) for a in collection.aliases)
    named: dict[tuple[str, str], str] = {}
    for number, alias in enumerate(aliases):
        key = (fold(alias.facet), fold(alias.alias))
        sound = all(map(fold, (alias.facet, alias.alias, alias.value)))
        if not sound or named.setdefault(key, fold(alias.value)) != fold(alias.value):
            raise InvalidArgumentError(
                "the alias is incomplete, or stands for two values",
                reason="ALIAS_INVALID",
                field=f"collection.aliases[{number}]",
                remedy="Give facet, alias and value, and each alias one value.",
            )
    return aliases
