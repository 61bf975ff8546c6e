"""Hairstyles: each has a part behind the head and a part in front of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from .canvas import Canvas
from .colour import Colour, colour
from .people import Person
from .shapes import Point, Shape, blob, curve, drawn, oval

Part = Callable[[Canvas, Person, Random], None]


def draw_behind(canvas: Canvas, person: Person, rng: Random) -> None:
    """Draw the hair that falls behind the face and the shoulders."""
    _BEHIND.get(person.style, _nothing)(canvas, person, rng)


def draw_before(canvas: Canvas, person: Person, rng: Random) -> None:
    """Draw the hair that lies on the forehead and the temples."""
    _BEFORE.get(person.style, _nothing)(canvas, person, rng)


def _nothing(canvas: Canvas, person: Person, rng: Random) -> None:
    """A style without this part."""


def _mass(canvas: Canvas, shape: Shape, tint: Colour, strands: Sequence[Shape]) -> None:
    """A body of hair with its strands and a soft shine."""
    _, top, _, bottom = shape.bounds()
    canvas.gradient(shape, (0, top), (0, bottom), [tint.lighter(0.16), tint, tint.darker(0.3)])
    with canvas.clip(shape):
        for number, strand in enumerate(strands):
            if number % 2:
                canvas.stroke(strand, tint.darker(0.55), 1.5, 0.5)
            else:
                canvas.stroke(strand, tint.lighter(0.45), 1.6, 0.4)
    canvas.stroke(shape, tint.darker(0.55), 1.4, 0.8)


def _falls(rng: Random, left: float, right: float, top: float, bottom: float) -> list[Shape]:
    """Strands that hang down between two sides."""
    strands = []
    for _ in range(14):
        x = rng.uniform(left, right)
        bend = rng.uniform(-5, 5)
        strands.append(curve((x * 0.8, top), (x + bend, (top + bottom) / 2), (x, bottom)))
    return strands


def _fringe_behind(canvas: Canvas, person: Person, rng: Random) -> None:
    length = rng.uniform(96, 122)
    shape = drawn(
        f"M 0 -104 C 60 -106 80 -60 78 -10 C 78 40 84 70 {78 + rng.uniform(-6, 6)} {length}"
        f" L -80 {length + rng.uniform(-6, 6)} C -84 70 -78 40 -78 -10 C -80 -60 -60 -106 0 -104 Z"
    )
    _mass(canvas, shape, person.hair, _falls(rng, -76, 76, -90, 120))


def _fringe_before(canvas: Canvas, person: Person, rng: Random) -> None:
    low = -37 + rng.uniform(-3, 2)
    locks = []
    for number in range(7):
        x = 50 - number * 100 / 7
        gap = low - rng.uniform(2, 7)
        locks.append(f"L {x:.1f} {low + rng.uniform(-2, 2):.1f} L {x - 11:.1f} {gap:.1f}")
    shape = drawn(
        "M 0 -103 C 52 -104 74 -64 70 20 L 60 24 C 60 0 58 -20 54 -38 "
        + " ".join(locks)
        + " L -54 -38 C -58 -20 -60 0 -60 24 L -70 20 C -74 -64 -52 -104 0 -103 Z"
    )
    _mass(canvas, shape, person.hair, _falls(rng, -60, 60, -100, 20))
    canvas.stroke(curve((-44, -78), (0, -86), (44, -78)), person.hair.lighter(0.8), 7, 0.2, 3)
    side = 1 if rng.random() < 0.5 else -1
    with canvas.moved(side * 60, -36, side * 60):
        canvas.volume(oval(0, 0, 11, 5), colour("e83f5b"))


def _curls(rng: Random, spots: Sequence[Point], size: float) -> list[tuple[Point, float]]:
    """Round locks around the given places."""
    return [
        ((x + rng.uniform(-4, 4), y + rng.uniform(-4, 4)), size * rng.uniform(0.85, 1.18))
        for x, y in spots
    ]


def _draw_curls(canvas: Canvas, tint: Colour, locks: Sequence[tuple[Point, float]]) -> None:
    for (x, y), size in locks:
        canvas.fill(oval(x, y, size + 1, size + 1), tint.darker(0.5))
    for (x, y), size in locks:
        near, far = (x - size, y - size), (x + size, y + size)
        ball = oval(x, y, size, size)
        canvas.gradient(ball, near, far, [tint.lighter(0.2), tint, tint.darker(0.35)])
        arc = curve((x - size * 0.6, y), (x - size * 0.1, y - size * 0.6), (x + size * 0.6, y))
        canvas.stroke(arc, tint.lighter(0.4), 2, 0.5)
        low = curve((x - size * 0.5, y + size * 0.4), (x, y), (x + size * 0.5, y + size * 0.45))
        canvas.stroke(low, tint.darker(0.5), 1.5, 0.5)


_CURLS_BEHIND = (
    (-66, -60), (66, -60), (-80, -30), (80, -30), (-84, 0), (84, 0), (-84, 30), (84, 30),
    (-78, 58), (78, 58), (-66, 80), (66, 80), (-40, -88), (40, -88), (0, -94),
)  # fmt: skip
_CURLS_BEFORE = (
    (-60, -40), (60, -40), (-50, -62), (50, -62), (-28, -72), (28, -72), (0, -76), (-64, -16),
    (64, -16), (-36, -92), (36, -92), (-12, -96), (14, -96),
)  # fmt: skip


def _curls_behind(canvas: Canvas, person: Person, rng: Random) -> None:
    _draw_curls(canvas, person.hair.darker(0.15), _curls(rng, _CURLS_BEHIND, 23))


def _curls_before(canvas: Canvas, person: Person, rng: Random) -> None:
    _draw_curls(canvas, person.hair, _curls(rng, _CURLS_BEFORE, 17))


def _bald_before(canvas: Canvas, person: Person, rng: Random) -> None:
    canvas.glow((-16 + rng.uniform(-6, 20), -66), 26, person.skin.lighter(0.8), 0.6)


def _bob_behind(canvas: Canvas, person: Person, rng: Random) -> None:
    low = 56 + rng.uniform(-4, 10)
    flick = rng.uniform(-4, 8)
    shape = drawn(
        f"M 0 -102 C 62 -104 84 -50 80 0 C 79 30 84 50 {76 + flick} {low} L 40 {low + 8}"
        f" L -40 {low + 8} L {-76 - flick} {low} C -84 50 -79 30 -80 0 C -84 -50 -62 -104 0 -102 Z"
    )
    _mass(canvas, shape, person.hair, _falls(rng, -76, 76, -90, low))


def _bob_before(canvas: Canvas, person: Person, rng: Random) -> None:
    part = -24 + rng.uniform(-7, 7)
    low = 44 + rng.uniform(-6, 8)
    shape = drawn(
        f"M {part} -100 C 48 -108 82 -60 76 {low} C 70 {low + 8} 62 {low + 6} 60 {low}"
        f" C 66 0 62 -26 52 -44 C 30 -50 0 -62 {part} -84 C {part - 6} -62 -40 -48 -54 -34"
        f" C -64 -20 -66 10 -60 {low} C -64 {low + 6} -72 {low + 8} -76 {low}"
        f" C -82 -50 -60 -96 {part} -100 Z"
    )
    strands = [
        curve((part, -94), (46, -78 + k * 4), (70 - k * 3, -30), (70 - k, low)) for k in range(6)
    ] + [curve((part, -94), (-50, -66 + k * 5), (-70 + k, low)) for k in range(5)]
    _mass(canvas, shape, person.hair, strands)
    canvas.stroke(curve((0, -86), (34, -80), (58, -56)), person.hair.lighter(0.8), 6, 0.25, 3)


def _spikes_before(canvas: Canvas, person: Person, rng: Random) -> None:
    lean = rng.uniform(-8, 8)
    steps = ["M -62 -4", "L -68 -40"]
    for number in range(7):
        x = -66 + number * 19
        height = -96 - 16 * (1 - abs(number - 3) / 3.5)
        tip = x + lean + 10 - (3 - number) * 4
        steps.append(f"L {tip:.1f} {height - rng.uniform(4, 14):.1f}")
        steps.append(f"L {x + 19:.1f} {height + 28:.1f}")
    steps += ["L 68 -40", "L 62 -4", "L 56 -36"]
    for number in range(6):
        x = 50 - number * 17
        steps.append(f"L {x:.1f} {-50 + rng.uniform(-2, 3):.1f} L {x - 8:.1f} {-62:.1f}")
    steps.append("L -56 -36 Z")
    strands = [
        curve((x * 0.8, -60), (x + lean * 0.5, -84), (x * 1.2 + lean, -112))
        for x in range(-54, 60, 9)
    ]
    _mass(canvas, drawn(" ".join(steps)), person.hair, strands)


def _bun_behind(canvas: Canvas, person: Person, rng: Random) -> None:
    x, size = rng.uniform(-8, 8), rng.uniform(27, 33)
    bun = oval(x, -104, size * 1.1, size)
    strands = [
        curve((x - size, -104 + k), (x, -104 - size * 0.6 + 7 * k), (x + size, -104 + k))
        for k in range(-3, 6)
    ]
    _mass(canvas, bun, person.hair.lighter(0.06), strands)
    _mass(canvas, blob((0, -94), (60, -66), (66, -20), (60, 6), (-60, 6), (-66, -20), (-60, -66)),
          person.hair, [])  # fmt: skip


def _bun_before(canvas: Canvas, person: Person, rng: Random) -> None:
    shape = drawn(
        "M 0 -94 C 46 -94 72 -60 63 -4 C 60 -30 44 -58 0 -64 C -44 -58 -60 -30 -63 -4"
        " C -72 -60 -46 -94 0 -94 Z"
    )
    strands = [curve((0, -92), (k * 6, -74), (k * 11, -44)) for k in range(-6, 7)]
    _mass(canvas, shape, person.hair, strands)
    band = curve((-58, -60), (0, -84), (58, -60))
    tint = person.clothes[0] if rng.random() < 0.5 else person.clothes[1]
    canvas.tube(band, tint, 9)


def _waves_behind(canvas: Canvas, person: Person, rng: Random) -> None:
    low = 48 + rng.uniform(-6, 12)
    shape = blob(
        (0, -104), (44, -98), (72, -66), (84, -24), (78, 8), (86, 30), (72, low), (48, low + 4),
        (-48, low + 4), (-72, low), (-86, 30), (-78, 8), (-84, -24), (-72, -66), (-44, -98),
    )  # fmt: skip
    _mass(canvas, shape, person.hair, _falls(rng, -80, 80, -90, low))


def _waves_before(canvas: Canvas, person: Person, rng: Random) -> None:
    lift = rng.uniform(-5, 5)
    shape = blob(
        (12, -104), (52, -94), (76, -52), (76, -8), (70, 22), (62, 10), (58, -22), (48, -46),
        (22, -58 + lift), (-4, -54), (-26, -66 + lift), (-46, -46), (-58, -22), (-62, 10),
        (-70, 22), (-76, -8), (-76, -52), (-50, -92),
    )  # fmt: skip
    strands = [
        curve((-40 + k * 4, -96), (-10 + k * 6, -84 + k * 2), (20 + k * 7, -70 + k * 4),
              (60 + k * 2, -30 + k * 6))
        for k in range(-3, 5)
    ] + [curve((-30 - k * 7, -92), (-52 - k * 3, -60), (-66, -10)) for k in range(5)]  # fmt: skip
    _mass(canvas, shape, person.hair, strands)


def _parting_before(canvas: Canvas, person: Person, rng: Random) -> None:
    sweep = rng.uniform(-5, 5)
    shape = drawn(
        f"M -34 -88 C -20 -116 {40 + sweep} -118 62 -84 C 72 -66 70 -30 63 0 C 60 -20 56 -34 48 -46"
        f" C 30 {-40 + sweep} 0 -46 -34 -74 C -40 -60 -54 -52 -57 -30 C -60 -16 -61 -8 -62 0"
        " C -70 -36 -66 -78 -34 -88 Z"
    )
    strands = [
        curve((-32, -82), (0, -98 + k * 7), (36 + sweep, -90 + k * 8), (60 - k, -40 + k * 2))
        for k in range(7)
    ] + [curve((-36, -84), (-54, -60 + 3 * k), (-62, -10)) for k in range(3)]
    _mass(canvas, shape, person.hair, strands)


def _tails_behind(canvas: Canvas, person: Person, rng: Random) -> None:
    for side in (1, -1):
        swing = rng.uniform(-8, 10)
        low = 70 + rng.uniform(-10, 24)
        points = [
            (58, -62), (84, -84), (106, -58), (108 + swing, -8), (100 + swing, 40),
            (90 + swing, low), (82 + swing, 30), (80, -10), (70, -44),
        ]  # fmt: skip
        shape = blob(*((side * x, y) for x, y in points))
        strands = [
            curve((side * 66, -60), (side * (92 - k), -62), (side * (102 - k * 3), 0),
                  (side * (92 + swing), low))
            for k in range(0, 14, 2)
        ]  # fmt: skip
        _mass(canvas, shape, person.hair, strands)
        canvas.volume(oval(side * 64, -64, 10, 10), colour("ffd23f"))
    _mass(canvas, oval(0, -30, 66, 70), person.hair, [])


def _tails_before(canvas: Canvas, person: Person, rng: Random) -> None:
    sway = rng.uniform(-7, 7)
    shape = drawn(
        f"M 0 -101 C 50 -102 76 -64 66 -6 C 62 -20 58 -34 46 -44 L 36 -34 L 22 -52 L {8 + sway} -36"
        f" L -6 -54 L {-22 + sway} -36 L -36 -50 L -50 -36 C -60 -28 -62 -20 -66 -6"
        " C -76 -64 -50 -102 0 -101 Z"
    )
    strands = [curve((0, -98), (k * 8, -74), (k * 11, -40)) for k in range(-6, 7)]
    _mass(canvas, shape, person.hair, strands)
    canvas.stroke(curve((-42, -76), (0, -84), (42, -76)), person.hair.lighter(0.8), 6, 0.3, 3)


def _receding_behind(canvas: Canvas, person: Person, rng: Random) -> None:
    puff = rng.uniform(-2, 4)
    for side in (1, -1):
        points = [(50, -52), (68 + puff, -40), (74 + puff, -10), (68, 18), (54, 10)]
        shape = blob(*((side * x, y) for x, y in points))
        strands = [curve((side * (52 + k * 4), -46), (side * (58 + k * 4), 14)) for k in range(5)]
        _mass(canvas, shape, person.hair, strands)


def _receding_before(canvas: Canvas, person: Person, rng: Random) -> None:
    canvas.glow((-14 + rng.uniform(-6, 18), -62), 24, person.skin.lighter(0.8), 0.6)
    for k in range(6):
        start = -34 + k * 4
        bend = rng.uniform(-4, 4)
        lock = curve((start, -66 - k), (k * 5, -84 + k + bend), (36 + k * 2, -68 + k * 3))
        canvas.stroke(lock, person.hair.darker(0.2), 1.8, 0.85)


_BEHIND: dict[str, Part] = {
    "fringe": _fringe_behind,
    "curls": _curls_behind,
    "bob": _bob_behind,
    "bun": _bun_behind,
    "waves": _waves_behind,
    "tails": _tails_behind,
    "receding": _receding_behind,
}
_BEFORE: dict[str, Part] = {
    "fringe": _fringe_before,
    "curls": _curls_before,
    "bald": _bald_before,
    "bob": _bob_before,
    "spikes": _spikes_before,
    "bun": _bun_before,
    "waves": _waves_before,
    "parting": _parting_before,
    "tails": _tails_before,
    "receding": _receding_before,
}
