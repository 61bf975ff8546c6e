"""The ten people who can be drawn, and what makes each of them known."""

from __future__ import annotations

from dataclasses import dataclass

from .colour import Colour, colour


@dataclass(frozen=True)
class Head:
    """Half widths of the head at four heights, and where the chin ends."""

    forehead: float = 56
    cheek: float = 62
    jaw: float = 50
    chin: float = 22
    bottom: float = 82


_INK = colour("222222")
_GOLD = colour("e8b830")
_HEAD = Head()


@dataclass(frozen=True)
class Person:
    """The looks of one person, the same in every picture."""

    code: str
    skin: Colour
    hair: Colour
    iris: Colour
    style: str
    lips: Colour
    head: Head = _HEAD
    eye_width: float = 15
    eye_height: float = 10
    eye_tilt: float = 0
    eye_apart: float = 28
    lashes: float = 2.4
    brow_width: float = 5
    brow_colour: Colour | None = None
    nose: str = "button"
    glasses: str = ""
    glasses_colour: Colour = _INK
    beard: str = ""
    stubble: bool = False
    freckles: bool = False
    mole: tuple[float, float] | None = None
    earrings: str = ""
    earring_colour: Colour = _GOLD
    wrinkles: bool = False
    clothes: tuple[Colour, Colour] = (_INK, _GOLD)


_ALL = (
    Person(
        "KA", colour("f6d7c0"), colour("23202c"), colour("3a2618"), "fringe", colour("d0626e"),
        Head(55, 60, 47, 18, 80), eye_width=16, eye_height=11, eye_tilt=-1, lashes=3.2,
        brow_width=4, clothes=(colour("b23a58"), colour("e9e3d8")),
    ),
    Person(
        "KL", colour("fbdcc8"), colour("c6501e"), colour("3f8f4c"), "curls", colour("cf6a5c"),
        Head(55, 61, 49, 20, 80), eye_width=15, eye_height=11, lashes=2.6, brow_width=4.6,
        freckles=True, clothes=(colour("2f7d5b"), colour("e0c9a0")),
    ),
    Person(
        "KM", colour("a9714b"), colour("2a1c16"), colour("2c1a10"), "bald", colour("8f4f44"),
        Head(58, 64, 57, 28, 84), eye_width=14, eye_height=9, brow_width=8, nose="broad",
        beard="full", lashes=2, clothes=(colour("e0dcd2"), colour("5b6b7a")),
    ),
    Person(
        "KR", colour("f3cba8"), colour("7a4a26"), colour("5c3a1c"), "bob", colour("c9605f"),
        Head(57, 62, 48, 19, 80), eye_width=15, eye_height=11, brow_width=4.5, glasses="round",
        glasses_colour=colour("b02a30"), mole=(27, 45), lashes=2.8,
        clothes=(colour("e2b23c"), colour("6c8fb8")),
    ),
    Person(
        "MK", colour("e0ac7e"), colour("1b1a1f"), colour("3b2415"), "spikes", colour("b06a58"),
        Head(57, 61, 56, 30, 84), eye_width=14, eye_height=8.5, eye_tilt=-2, brow_width=9,
        nose="long", stubble=True, lashes=2, clothes=(colour("30343c"), colour("c0392b")),
    ),
    Person(
        "NA", colour("7a4a30"), colour("17110f"), colour("24140c"), "bun", colour("8e3346"),
        Head(54, 59, 47, 19, 81), eye_width=16, eye_height=11, eye_tilt=-2, brow_width=5,
        nose="broad", earrings="hoops", lashes=3.4,
        clothes=(colour("f0a020"), colour("8e44ad")),
    ),
    Person(
        "NM", colour("f2cdb6"), colour("c9cbd2"), colour("5b7f9c"), "waves", colour("c25468"),
        Head(56, 62, 52, 22, 81), eye_width=14, eye_height=9, brow_width=4,
        brow_colour=colour("8d8d95"), glasses="cat", glasses_colour=colour("5a3a8c"),
        earrings="pearls", earring_colour=colour("f7f3ea"), wrinkles=True,
        clothes=(colour("7d5a9c"), colour("4f7f86")),
    ),
    Person(
        "TM", colour("f7d3b8"), colour("e3b84f"), colour("2f77bd"), "parting", colour("c47366"),
        Head(57, 61, 53, 25, 85), eye_width=14, eye_height=9.5, brow_width=6.5,
        brow_colour=colour("b1842c"), nose="long", beard="moustache", stubble=True, lashes=2,
        clothes=(colour("2c5aa0"), colour("8fae8b")),
    ),
    Person(
        "UY", colour("f9d9bd"), colour("2f9e9a"), colour("7a4bb0"), "tails", colour("d9627a"),
        Head(57, 65, 52, 20, 77), eye_width=17, eye_height=12.5, brow_width=3.8,
        brow_colour=colour("1f6f70"), lashes=3.2, clothes=(colour("f08ab0"), colour("5d6bc0")),
    ),
    Person(
        "YM", colour("e6b596"), colour("8b8680"), colour("4d4a3a"), "receding", colour("b06658"),
        Head(58, 60, 52, 26, 88), eye_width=13, eye_height=8.5, eye_tilt=1, brow_width=7.5,
        brow_colour=colour("6d6862"), nose="big", glasses="square", beard="goatee", stubble=True,
        glasses_colour=colour("1f2328"), wrinkles=True, lashes=1.8,
        clothes=(colour("5a4a3c"), colour("38524a")),
    ),
)  # fmt: skip

PEOPLE = {person.code: person for person in _ALL}
