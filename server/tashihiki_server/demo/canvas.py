"""A small drawing surface: filled, stroked, shaded and blurred outlines on a raster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

# skia ships no type information, so everything of it is Any: only shapes.py and this
# module may know it.
import skia

from .colour import BLACK, WHITE, Colour
from .shapes import Point, Shape

Pixels = npt.NDArray[np.uint8]


class Canvas:
    """A square raster of colour, drawn on in pixels from the upper left corner."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._rows = np.zeros((size, size, 4), np.uint8)
        self._skia = skia.Canvas(self._rows)

    def pixels(self) -> Pixels:
        """What has been drawn, as rows of red, green and blue."""
        return np.ascontiguousarray(self._rows[:, :, :3])

    def fill(self, shape: Shape, colour: Colour, alpha: float = 1, blur: float = 0) -> None:
        """Cover the inside of a shape."""
        self._skia.drawPath(shape.path, _paint(colour, alpha, blur))

    def stroke(
        self, shape: Shape, colour: Colour, width: float, alpha: float = 1, blur: float = 0
    ) -> None:
        """Follow a shape's line with a round pen."""
        paint = _paint(colour, alpha, blur)
        paint.setStyle(skia.Paint.kStroke_Style)
        paint.setStrokeWidth(width)
        paint.setStrokeCap(skia.Paint.kRound_Cap)
        paint.setStrokeJoin(skia.Paint.kRound_Join)
        self._skia.drawPath(shape.path, paint)

    def gradient(
        self,
        shape: Shape,
        start: Point,
        end: Point,
        colours: Sequence[Colour],
        alphas: Sequence[float] | None = None,
    ) -> None:
        """Cover a shape with colours that change evenly from one point to another."""
        shades = [_code(c, a) for c, a in zip(colours, alphas or [1] * len(colours), strict=True)]
        shader = skia.GradientShader.MakeLinear([skia.Point(*start), skia.Point(*end)], shades)
        self._skia.drawPath(shape.path, skia.Paint(AntiAlias=True, Shader=shader))

    def glow(self, centre: Point, radius: float, colour: Colour, alpha: float) -> None:
        """Lay a round stain of colour that fades towards its rim."""
        shades = [_code(colour, alpha), _code(colour, alpha * 0.6), _code(colour, 0)]
        shader = skia.GradientShader.MakeRadial(skia.Point(*centre), radius, shades)
        self._skia.drawCircle(*centre, radius, skia.Paint(AntiAlias=True, Shader=shader))

    def wash(self, colour: Colour, alpha: float = 1) -> None:
        """Lay one colour over all of the picture."""
        self._skia.drawColor(_code(colour, alpha))

    def volume(
        self, shape: Shape, colour: Colour, *, axis: Point = (1, 1), depth: float = 1
    ) -> None:
        """Fill a shape as a rounded body lit from the upper left.

        `axis` points the way in which the body turns from the light, and
        `depth` scales how strongly it does.
        """
        left, top, right, bottom = shape.bounds()
        x, y, w, h = (left + right) / 2, (top + bottom) / 2, right - left, bottom - top
        away = (x + axis[0] * w / 2, y + axis[1] * h / 2)
        near = (x - axis[0] * w / 2, y - axis[1] * h / 2)
        shades = [colour.lighter(0.22 * depth), colour, colour.darker(0.3 * depth)]
        self.gradient(shape, near, away, shades)
        rim = min(w, h) * 0.16
        with self.clip(shape):
            with self.moved(-rim * 0.25, -rim * 0.25):
                self.stroke(shape, colour.darker(0.7), rim, 0.45 * depth, rim * 0.45)
            with self.moved(rim * 0.55, rim * 0.55):
                self.stroke(shape, WHITE, rim * 0.4, 0.4 * depth, rim * 0.3)
        self.stroke(shape, colour.darker(0.65), 1.6, 0.9)

    def tube(self, along: Shape, colour: Colour, width: float) -> None:
        """Draw a round bar that follows a line."""
        self.stroke(along, colour.darker(0.65), width + 2.2)
        self.stroke(along, colour, width)
        with self.moved(width * 0.13, width * 0.13):
            self.stroke(along, colour.darker(0.45), width * 0.5, 0.4, width * 0.12)
        with self.moved(-width * 0.17, -width * 0.17):
            self.stroke(along, WHITE, width * 0.22, 0.5, width * 0.08)

    def image(self, rows: Pixels) -> None:
        """Cover the whole raster with a picture, stretched to fit."""
        picture = skia.Image.fromarray(rows, colorType=skia.kRGBA_8888_ColorType, copy=False)
        target = skia.Rect.MakeWH(self.size, self.size)
        self._skia.drawImageRect(picture, target, skia.SamplingOptions(skia.FilterMode.kLinear))

    @contextmanager
    def clip(self, shape: Shape) -> Iterator[None]:
        """Draw only inside a shape for a while."""
        self._skia.save()
        self._skia.clipPath(shape.path, skia.ClipOp.kIntersect, True)
        yield
        self._skia.restore()

    @contextmanager
    def moved(
        self, x: float = 0, y: float = 0, angle: float = 0, wide: float = 1, high: float = 1
    ) -> Iterator[None]:
        """Draw with a shifted, turned (in degrees) and stretched origin for a while."""
        self._skia.save()
        self._skia.translate(x, y)
        self._skia.rotate(angle)
        self._skia.scale(wide, high)
        yield
        self._skia.restore()

    @contextmanager
    def shadowed(self, offset: Point, blur: float, alpha: float) -> Iterator[None]:
        """Draw things that together drop one soft shadow."""
        shadow = skia.ImageFilters.DropShadow(*offset, blur, blur, _code(BLACK, alpha))
        self._skia.saveLayer(None, skia.Paint(ImageFilter=shadow))
        yield
        self._skia.restore()


def _code(colour: Colour, alpha: float) -> int:
    opacity = round(255 * min(max(alpha, 0), 1))
    return opacity << 24 | colour.red << 16 | colour.green << 8 | colour.blue


def _paint(colour: Colour, alpha: float, blur: float) -> Any:
    paint = skia.Paint(AntiAlias=True, Color=_code(colour, alpha))
    if blur > 0.1:
        paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, blur))
    return paint
