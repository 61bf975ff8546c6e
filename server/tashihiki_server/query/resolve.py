"""Looks up what the terms of a query stand for in a collection."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from tashihiki.errors import InvalidArgumentError, NotFoundError, TashihikiError
from tashihiki.v1 import composition_pb2
from tashihiki_server.names import spelt
from tashihiki_server.query.ast import (
    FacetValue,
    Group,
    ImageOperand,
    ItemOperand,
    Operand,
    Term,
    VectorOperand,
    WholeFacet,
    Word,
)
from tashihiki_server.space.base import (
    AttributeTerm,
    EmbeddingTerm,
    IgnoreTerm,
    SpaceTerm,
    Vectors,
)
from tashihiki_server.vocabulary import AttributeKey, Vocabulary, unknown

MAX_WEIGHT = 1000.0
_MINUS = "-−–－"
# Between values, where people write them for a plus.
_JOINED = re.compile(r"[,，、;&]")
_NUMBER = re.compile(r"\d+(\.\d*)?|\.\d+")


@dataclass(frozen=True)
class ResolvedTerm:
    """A term and what it was found to mean.

    Attributes:
        label: in words, for example `expression:HAPPY`.
        weight: signed, with the weights of the groups around it.
        term: as the attribute space takes it.
        kind: `attribute`, `facet`, `item`, `image` or `vector`.
        name: the item's id, or the name or number of the picture or vector.
    """

    label: str
    weight: float
    term: SpaceTerm
    kind: str
    name: str = ""


@dataclass(frozen=True)
class Unresolved:
    """A term that was left out, and why."""

    label: str
    weight: float
    reason: str


@dataclass
class Resolution:
    """A query with every name looked up.

    Attributes:
        terms: in the order of the query, groups multiplied out.
        unresolved: items that are not there, if they may be skipped.
        item_ids: the items among the operands.
    """

    terms: list[ResolvedTerm] = field(default_factory=list)
    unresolved: list[Unresolved] = field(default_factory=list)
    item_ids: set[str] = field(default_factory=set)


class Resolver:
    """Resolves the queries of one request against one state of a collection."""

    def __init__(
        self,
        *,
        vocabulary: Vocabulary,
        dimension: int,
        item_embedding: Callable[[str], Vectors | None],
        nearest_item: Callable[[str], str],
        embed: Callable[[bytes, str], Vectors],
        bindings: composition_pb2.Bindings,
        skip_missing: bool,
        expression: str = "",
        field: str = "query",
    ) -> None:
        self._vocabulary = vocabulary
        self._dimension = dimension
        self._item_embedding = item_embedding
        self._nearest_item = nearest_item
        self._embed = embed
        self._bindings = bindings
        self._skip_missing = skip_missing
        self._expression = expression
        self._bindings_field = f"{field}.bindings"
        self._images = 0
        self._vectors = 0

    def resolve(self, terms: Sequence[Term]) -> Resolution:
        """Looks every term up.

        Raises:
            InvalidArgumentError: WEIGHT_INVALID, UNKNOWN_FACET, UNKNOWN_VALUE, AMBIGUOUS_VALUE,
                FACET_ADDED, UNBOUND_OPERAND, VECTOR_INVALID, a fault of a picture, or
                ZERO_QUERY_VECTOR when no term is left.
            NotFoundError: UNKNOWN_ITEM.
        """
        resolution = Resolution()
        self._add(terms, 1.0, resolution)
        if not any(term.weight for term in resolution.terms if term.kind != "facet"):
            raise InvalidArgumentError(
                "nothing is left of the query to search for",
                reason="ZERO_QUERY_VECTOR",
                field="query",
                remedy="Add a term with a weight other than 0 that is not a whole facet.",
            )
        return resolution

    def _add(self, terms: Sequence[Term], factor: float, resolution: Resolution) -> None:
        for term in terms:
            try:
                weight = factor * self._checked_weight(term.weight, factor)
                if isinstance(term.operand, Group):
                    self._add(term.operand.terms, weight, resolution)
                else:
                    self._add_one(term, weight, resolution)
            except TashihikiError as error:
                if not error.field:
                    error.field = term.field
                span = term.span
                if error.reason == "WEIGHT_INVALID" and term.weight_span:
                    span = term.weight_span
                if span and "position" not in error.details:
                    error.details["position"], error.details["length"] = map(str, span)
                    self._suggest_signs(error, term.operand)
                    self._suggest_quotes(error, span)
                raise

    def _suggest_signs(self, error: TashihikiError, operand: Operand) -> None:
        # `red mug` is read as the value mug of a facet red, `red,mug` as one value.
        if not error.reason.startswith("UNKNOWN"):
            return
        if isinstance(operand, Word):
            self._suggest_plus(error, operand.text, f"no value {spelt(operand.text)}")
        elif isinstance(operand, FacetValue) and error.reason == "UNKNOWN_FACET":
            facet, value = operand.facet, spelt(operand.value)
            keys = self._vocabulary.occurrences(operand.value)
            if keys and _NUMBER.fullmatch(facet):
                error.message = f"{facet} is no facet; did you mean {facet} * {value}?"
                error.details["candidates"] = f"{facet} * {value}"
                error.remedy = "Write a * between a weight and what it is of."
            elif keys and facet.casefold() == "not":
                error.message = f"not is no facet; did you mean − {value}?"
                error.details["candidates"] = f"− {value}"
                meant = f"{spelt(self._vocabulary.facet_name(keys[0].facet))}:{value}"
                error.remedy = (
                    f"A − looks away from {value}; the filter `not {meant}` leaves its items out."
                )
            else:
                self._suggest_plus(
                    error, f"{facet},{operand.value}", f"{facet} is a value and no facet"
                )

    def _suggest_plus(self, error: TashihikiError, text: str, message: str) -> None:
        names = [name.strip() for name in _JOINED.split(text) if name.strip()]
        if len(names) > 1 and all(map(self._vocabulary.occurrences, names)):
            both = " + ".join(map(spelt, names))
            error.message = f"{message}; did you mean {both}?"
            error.details["candidates"] = both
            error.remedy = "Write a + between two values."

    def _suggest_quotes(self, error: TashihikiError, span: tuple[int, int]) -> None:
        # `t-shirt` is read as t less shirt, which is what `mug-red` should be.
        if not error.reason.startswith("UNKNOWN") or isinstance(error, NotFoundError):
            return
        for found in re.finditer(r"[^\s+＋()（）]+", self._expression):
            if not found.start() <= span[0] < found.end():
                continue
            # The first sign may be the term's own; what is alike holds none of its own.
            bare = found.group().lstrip(_MINUS)
            names = self._vocabulary
            for meant, words in (
                (names.occurrences, (bare, found.group())),
                (names.alike, (bare,)),
            ):
                for word in words:
                    value = re.split("[:：]", word)[-1]
                    keys = meant(value) if any(sign in value for sign in _MINUS) else []
                    if keys:
                        self._read_as_a_sum(error, word, keys)
                        return

    def _read_as_a_sum(self, error: TashihikiError, word: str, keys: list[AttributeKey]) -> None:
        names = list(dict.fromkeys(spelt(self._vocabulary.value_name(key)) for key in keys))
        facet = re.match(r"[^:：]*[:：]", word)
        guesses = [f"{facet[0] if facet else ''}{name}" for name in names]
        error.message = f"{word} is read as a sum; did you mean {' or '.join(guesses)}?"
        error.details["candidates"] = ", ".join(map(self._vocabulary.label, keys))
        quoted = [f": {guess}" for guess in guesses if guess.endswith('"')][:1]
        error.remedy = f"Names that hold signs or spaces are quoted{''.join(quoted)}."

    def _checked_weight(self, weight: float, factor: float) -> float:
        largest = max(abs(weight), abs(weight * factor))
        if math.isfinite(weight) and largest <= MAX_WEIGHT:
            return weight
        raise InvalidArgumentError(
            f"the weight {weight:g} is not a number from {-MAX_WEIGHT:g} to {MAX_WEIGHT:g}",
            reason="WEIGHT_INVALID",
            remedy="Only the proportions of the weights matter: scale them down.",
        )

    def _add_one(self, term: Term, weight: float, resolution: Resolution) -> None:
        operand = term.operand
        if isinstance(operand, ItemOperand):
            self._add_item(operand, weight, resolution)
        elif isinstance(operand, WholeFacet):
            facet = self._vocabulary.find_facet(operand.facet, "")
            self._add_facet(facet, weight, resolution)
        elif isinstance(operand, Word) or (isinstance(operand, FacetValue) and not operand.facet):
            word = operand.text if isinstance(operand, Word) else operand.value
            self._add_word(word, weight, resolution, allow_facet=isinstance(operand, Word))
        elif isinstance(operand, FacetValue):
            if (found := self._vocabulary.facet_or_none(operand.facet)) is None:
                self._refuse_unquoted(operand)
                found = self._vocabulary.find_facet(operand.facet, "")
            key = self._vocabulary.find_value(found, operand.value, "")
            self._add_attribute(key, weight, resolution)
        elif isinstance(operand, ImageOperand):
            resolution.terms.append(self._image(operand, weight, term.field))
        elif isinstance(operand, VectorOperand):
            resolution.terms.append(self._vector(operand, weight))

    def _refuse_unquoted(self, operand: FacetValue) -> None:
        words = f"{operand.facet} {operand.value}"
        if keys := self._vocabulary.occurrences(words) or self._vocabulary.alike(words):
            meant = spelt(self._vocabulary.value_name(keys[0]))
            raise InvalidArgumentError(
                f"no facet {operand.facet}; did you mean {meant}?",
                reason="UNKNOWN_FACET",
                remedy=f"Quote values with spaces: {meant}." if meant.endswith('"') else "",
                details={"candidates": ", ".join(map(self._vocabulary.label, keys))},
            )

    def _add_word(
        self, word: str, weight: float, resolution: Resolution, *, allow_facet: bool
    ) -> None:
        keys = self._vocabulary.occurrences(word)
        if len(keys) == 1:
            self._add_attribute(keys[0], weight, resolution)
        elif keys:
            labels = [self._vocabulary.label(key) for key in keys]
            raise InvalidArgumentError(
                f"{word!r} is a value of {len(keys)} facets",
                reason="AMBIGUOUS_VALUE",
                remedy=f"Write {' or '.join(labels)}.",
                details={"candidates": ", ".join(labels)},
            )
        elif allow_facet and (facet := self._vocabulary.facet_or_none(word)) is not None:
            self._add_facet(facet, weight, resolution)
        else:
            near = self._vocabulary.suggestions(word)
            raise unknown("UNKNOWN_VALUE", f"no value {spelt(word)}", "", near)

    def _add_attribute(self, key: AttributeKey, weight: float, resolution: Resolution) -> None:
        resolution.terms.append(
            ResolvedTerm(
                self._vocabulary.label(key), weight, AttributeTerm(weight, key), "attribute"
            )
        )

    def _add_facet(self, facet: str, weight: float, resolution: Resolution) -> None:
        name = self._vocabulary.facet_name(facet)
        if weight > 0:
            raise InvalidArgumentError(
                f"the facet {name} can only be subtracted",
                reason="FACET_ADDED",
                remedy=f"Write - {name} to ignore it, or name a value, {name}:VALUE.",
            )
        term = IgnoreTerm(facet)
        others = [other.term for other in resolution.terms]
        if weight and term not in others:
            resolution.terms.append(ResolvedTerm(name, weight, term, "facet"))

    def _add_item(self, operand: ItemOperand, weight: float, resolution: Resolution) -> None:
        identifier = operand.id if operand.id is not None else self._bindings.this_item
        if operand.id is None and not identifier:
            self._unbound("this item", "this_item")
        label = f"item({identifier})"
        embedding = self._item_embedding(identifier)
        if embedding is not None:
            term = EmbeddingTerm(weight, embedding)
            resolution.item_ids.add(identifier)
            resolution.terms.append(ResolvedTerm(label, weight, term, "item", identifier))
        elif self._skip_missing:
            resolution.unresolved.append(Unresolved(label, weight, "UNKNOWN_ITEM"))
        else:
            near = self._nearest_item(identifier)
            guess = f"; did you mean {near}?" if near else ""
            raise NotFoundError(
                f"no item {identifier!r}{guess}",
                reason="UNKNOWN_ITEM",
                field=f"{self._bindings_field}.this_item" if operand.id is None else "",
                remedy="ListItems tells the ids that there are.",
                details={"candidates": near} if near else {},
            )

    def _image(self, operand: ImageOperand, weight: float, where: str) -> ResolvedTerm:
        name, data = operand.name, operand.data
        if data is None and name is None:
            name, data = "this image", self._bindings.this_image
            where = f"{self._bindings_field}.this_image"
            if not data:
                self._unbound("this image", "this_image")
        elif data is None:
            assert name is not None
            if name not in self._bindings.images:
                self._unbound(f"image({name})", f"images[{name}]")
            data, where = self._bindings.images[name], f"{self._bindings_field}.images[{name}]"
        else:
            self._images += 1
            name = str(self._images)
        label = name if name == "this image" else f"image({name})"
        term = EmbeddingTerm(weight, self._embed(data, where))
        return ResolvedTerm(label, weight, term, "image", name or "")

    def _vector(self, operand: VectorOperand, weight: float) -> ResolvedTerm:
        if operand.values is not None:
            self._vectors += 1
            name, values, where = str(self._vectors), operand.values, ""
        else:
            name = operand.name or ""
            where = f"{self._bindings_field}.vectors[{name}]"
            if name not in self._bindings.vectors:
                self._unbound(f"vector({name})", f"vectors[{name}]")
            values = np.array(self._bindings.vectors[name].values, dtype=np.float64)
        term = EmbeddingTerm(weight, unit_vector(values, self._dimension, where))
        return ResolvedTerm(f"vector({name})", weight, term, "vector", name)

    def _unbound(self, operand: str, where: str) -> NoReturn:
        raise InvalidArgumentError(
            f"the query names {operand}, but the request does not say what that is",
            reason="UNBOUND_OPERAND",
            field=f"{self._bindings_field}.{where}",
            remedy="Bind it in the request.",
        )


def unit_vector(values: NDArray[np.float64], dimension: int, where: str) -> Vectors:
    """A caller's vector, checked and brought to unit length.

    Raises:
        InvalidArgumentError: VECTOR_INVALID.
    """
    fault = ""
    if len(values) != dimension:
        fault = f"has {len(values)} values where the collection's embeddings have {dimension}"
    elif not np.isfinite(values).all():
        fault = "holds NaN or infinity"
    # Scaling by the largest value first keeps the norm from overflowing.
    elif not (largest := float(np.abs(values).max(initial=0.0))) > 1e-30:
        fault = "is zero"
    if fault:
        raise InvalidArgumentError(
            f"the vector {fault}",
            reason="VECTOR_INVALID",
            field=where,
            remedy="Send a vector that Embed returned, or one of its kind.",
        )
    scaled = values / largest
    unit: Vectors = (scaled / np.linalg.norm(scaled)).astype(np.float32)
    return unit
