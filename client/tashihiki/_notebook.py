"""Results as HTML, for notebooks.

Every style is inline and takes its colours from around it, so that it reads on light and on dark
pages; whatever a server sent is escaped.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tashihiki.results import Hit, ResolvedTerm, SearchResult

# A notebook keeps what it shows.
MAX_HITS = 100
# Of a table, besides the id and the similarity.
MAX_COLUMNS = 30
_MAX_TEXT = 80
_EDGE = 128

_TEXT = "font-family:sans-serif;font-size:12px;line-height:1.4;color:inherit;background:transparent"
_STRIP = "display:flex;flex-wrap:wrap;gap:12px;margin:6px 0"
_CARD = f"margin:0;width:{_EDGE}px;overflow-wrap:anywhere;text-align:left"
_BOX = f"width:{_EDGE}px;height:{_EDGE}px;object-fit:contain;display:block;margin:0 0 4px 0"
_EMPTY = f"{_BOX};box-sizing:border-box;border:1px dashed currentColor;opacity:0.5;padding:4px"
_TABLE = "border-collapse:collapse;margin:6px 0;font:inherit;color:inherit;background:transparent"
_CELL = "text-align:left;padding:2px 10px 2px 0;border-bottom:1px solid rgba(128,128,128,0.4)"
_NUMBER = f"{_CELL};font-variant-numeric:tabular-nums"
_NOTE = "opacity:0.75"


def result_html(result: SearchResult) -> str:
    """A strip of pictures where there are any, else a table."""
    shown = result.hits[:MAX_HITS]
    parts = [_query(result)]
    if any(hit.thumbnail for hit in shown):
        cards = "".join(map(_card, shown))
        parts.append(f'<div style="{_STRIP}">{cards}</div>')
    elif shown:
        facets = sorted({facet for hit in shown for facet in hit.attributes})
        keys = sorted({key for hit in shown for key in hit.metadata})
        left_out = len(facets) + len(keys) - MAX_COLUMNS
        facets = facets[:MAX_COLUMNS]
        keys = keys[: MAX_COLUMNS - len(facets)]
        parts.append(_hits_table(shown, facets, keys))
        if left_out > 0:
            parts.append(_note(f"… and {left_out} more columns."))
        parts.append(_note("With include_thumbnails=True the hits are shown as pictures."))
    else:
        parts.append(_note("No hits."))
    if len(result.hits) > len(shown):
        parts.append(_note(f"… and {len(result.hits) - len(shown)} more hits."))
    return _page(parts)


def hit_html(hit: Hit) -> str:
    """A hit and why it is one: what each term and each block of the query brought."""
    parts = [f'<div style="{_STRIP}">{_card(hit)}<div>', _explanation(hit), "</div></div>"]
    return _page(parts)


def _page(parts: Iterable[str]) -> str:
    return f'<div style="{_TEXT}">{"".join(parts)}</div>'


def _query(result: SearchResult) -> str:
    text = " ".join(_term(term, first=not place) for place, term in enumerate(result.terms))
    left_out = "".join(
        _note(f"Left out: {term.label} ({term.reason})") for term in result.unresolved_terms
    )
    return f"<div><strong>{_text(text)}</strong></div>{left_out}"


def _term(term: ResolvedTerm, first: bool) -> str:
    sign = "−" if term.weight < 0 else "" if first else "+"
    size = "" if abs(term.weight) == 1 else f"{abs(term.weight):g} × "
    return f"{sign}{' ' if sign else ''}{size}{term.label}"


def _card(hit: Hit) -> str:
    picture = f'<div style="{_EMPTY}">no picture</div>'
    if hit.thumbnail:
        data = base64.b64encode(hit.thumbnail).decode()
        picture = f'<img alt="" style="{_BOX}" src="data:image/jpeg;base64,{data}">'
    labels = "".join(f"<div>{_text(f'{f}: {v}')}</div>" for f, v in sorted(hit.attributes.items()))
    return (
        f'<figure style="{_CARD}">{picture}<figcaption>'
        f"<div><strong>{_text(hit.id)}</strong></div><div>{_similarity(hit)}</div>{labels}"
        "</figcaption></figure>"
    )


def _similarity(hit: Hit) -> str:
    posterior = "" if hit.posterior is None else f" · posterior {hit.posterior:.3f}"
    return f"similarity {hit.similarity:.3f}{posterior}"


def _hits_table(hits: Sequence[Hit], facets: Sequence[str], keys: Sequence[str]) -> str:
    rows = [
        [
            hit.id,
            f"{hit.similarity:.3f}",
            *(hit.attributes.get(facet, "") for facet in facets),
            *(_value(hit.metadata, key) for key in keys),
        ]
        for hit in hits
    ]
    return _table(["id", "similarity", *facets, *keys], rows)


def _value(metadata: Mapping[str, Any], key: str) -> str:
    value = metadata.get(key)
    # Numbers come back as floats.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return "" if value is None else str(value)


def _explanation(hit: Hit) -> str:
    terms = [
        [part.label, f"{part.weight:g}", f"{part.similarity:+.3f}"] for part in hit.contributions
    ]
    blocks = [
        [block.facet or "rest", f"{block.similarity:+.3f}", f"{block.contribution:+.3f}"]
        for block in hit.blocks
    ]
    tables = _table(["term", "weight", "brings"], terms) if terms else ""
    return tables + (_table(["block", "cosine", "brings"], blocks) if blocks else "")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col" style="{_CELL}">{_text(name)}</th>' for name in heads)
    body = "".join(
        "<tr>" + "".join(f'<td style="{_NUMBER}">{_text(cell)}</td>' for cell in row) + "</tr>"
        for row in rows
    )
    return f'<table style="{_TABLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _note(text: str) -> str:
    return f'<div style="{_NOTE}">{_text(text)}</div>'


def _text(text: str) -> str:
    return escape(text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…")
