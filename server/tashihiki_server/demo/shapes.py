"""Outlines: built from curves, boxes and ovals, and handed to the canvas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# skia ships no type information, so everything of it is Any: only canvas.py and this
# module may know it.
import skia

Point = tuple[float, float]


class Shape:
    """An outline that a canvas can fill, stroke or clip to."""

    def __init__(self, path: Any) -> None:
        self.path = path

    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the outline's box."""
        box = self.path.getBounds()
        return box.left(), box.top(), box.right(), box.bottom()

    def __or__(self, other: Shape) -> Shape:
        return Shape(skia.Op(self.path, other.path, skia.PathOp.kUnion_PathOp))

    def __and__(self, other: Shape) -> Shape:
        return Shape(skia.Op(self.path, other.path, skia.PathOp.kIntersect_PathOp))

    def __sub__(self, other: Shape) -> Shape:
        return Shape(skia.Op(self.path, other.path, skia.PathOp.kDifference_PathOp))


def oval(x: float, y: float, rx: float, ry: float) -> Shape:
    """An ellipse around (x, y)."""
    path = skia.Path()
    path.addOval(skia.Rect.MakeLTRB(x - rx, y - ry, x + rx, y + ry))
    return Shape(path)


def box(left: float, top: float, right: float, bottom: float, round_by: float = 0) -> Shape:
    """A rectangle, its corners rounded by a radius."""
    path = skia.Path()
    path.addRoundRect(skia.Rect.MakeLTRB(left, top, right, bottom), round_by, round_by)
    return Shape(path)


def polygon(points: Sequence[Point]) -> Shape:
    """A closed outline of straight edges."""
    path = skia.Path()
    path.addPoly([skia.Point(x, y) for x, y in points], True)
    return Shape(path)


def line(*points: Point) -> Shape:
    """An open run of straight edges."""
    path = skia.Path()
    path.addPoly([skia.Point(x, y) for x, y in points], False)
    return Shape(path)


def curve(*points: Point) -> Shape:
    """A smooth open curve through the points."""
    return _smooth([points[0], *points, points[-1]], closed=False)


def blob(*points: Point) -> Shape:
    """A smooth closed outline through the points."""
    return _smooth([points[-1], *points, points[0], points[1]], closed=True)


def mirrored(points: Sequence[Point]) -> list[Point]:
    """The points of a right half, from top to bottom, followed by those of the left half."""
    left = [(-x, y) for x, y in reversed(points) if abs(x) > 1e-6]
    return [*points, *left]


def drawn(commands: str) -> Shape:
    """An outline in the path notation of SVG: the absolute commands M L Q C Z only."""
    path = skia.Path()
    steps = {"M": path.moveTo, "L": path.lineTo, "Q": path.quadTo, "C": path.cubicTo}
    lengths = {"M": 2, "L": 2, "Q": 4, "C": 6}
    words = commands.replace(",", " ").split()
    command, at = "M", 0
    while at < len(words):
        if words[at].isalpha():
            command, at = words[at], at + 1
        if command == "Z":
            path.close()
            continue
        size = lengths[command]
        steps[command](*(float(word) for word in words[at : at + size]))
        at += size
    return Shape(path)


def _smooth(points: Sequence[Point], *, closed: bool) -> Shape:
    """A Catmull-Rom spline from the second point to the last but one."""
    path = skia.Path()
    path.moveTo(*points[1])
    for before, start, end, after in zip(points, points[1:], points[2:], points[3:], strict=False):
        path.cubicTo(
            start[0] + (end[0] - before[0]) / 6,
            start[1] + (end[1] - before[1]) / 6,
            end[0] - (after[0] - start[0]) / 6,
            end[1] - (after[1] - start[1]) / 6,
            *end,
        )
    if closed:
        path.close()
    return Shape(path)
