"""The seven expressions, each as what its muscles do to a face at rest."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random


@dataclass(frozen=True)
class Brows:
    """How far the brows move from rest, in pixels; down is positive."""

    inner: float = 0
    middle: float = 0
    outer: float = 0
    squeeze: float = 0
    uneven: float = 0


@dataclass(frozen=True)
class Eyes:
    """How high the lids stand, as parts of the eye at rest, and the size of the iris."""

    lid_inner: float = 1
    lid_outer: float = 1
    lower: float = 1
    iris: float = 1
    gaze: float = 0
    shut: bool = False


@dataclass(frozen=True)
class Mouth:
    """The opening of the mouth in pixels.

    `curve` lifts the corners, `above` and `below` open the lips, `square` is 2
    for a round opening and more for a boxy one, `wave` makes the lips tremble
    and `tilt` pulls one corner up.
    """

    width: float = 19
    curve: float = 1
    above: float = 0
    below: float = 0
    square: float = 2
    wave: float = 0
    tilt: float = 0
    drop: float = 0
    upper_teeth: float = 0
    lower_teeth: float = 0
    clenched: bool = False
    tongue: float = 0
    tongue_out: bool = False
    pout: float = 0


@dataclass(frozen=True)
class Expression:
    """One look of a face: the parts above, and the marks that it leaves on the skin."""

    name: str
    code: str
    brows: Brows = field(default_factory=Brows)
    eyes: Eyes = field(default_factory=Eyes)
    mouth: Mouth = field(default_factory=Mouth)
    jaw: float = 0
    nose_wrinkle: float = 0
    nostrils: float = 0
    frown: float = 0
    forehead: float = 0
    folds: float = 0
    cheeks: float = 0
    tint: str = ""
    tint_amount: float = 0
    sweat: bool = False
    tear: bool = False
    lower_head: float = 0


def expression(code: str, rng: Random) -> Expression:
    """One performance of an expression, for no two shots are quite alike."""
    variants = _VARIANTS[code]
    chosen = variants[rng.randrange(len(variants))]
    strength = rng.uniform(0.85, 1.12)
    return replace(
        chosen,
        brows=_scaled_brows(chosen.brows, strength),
        mouth=_varied_mouth(chosen.mouth, strength, rng),
        eyes=replace(chosen.eyes, gaze=chosen.eyes.gaze + rng.uniform(-2.2, 2.2)),
        sweat=chosen.sweat and rng.random() < 0.75,
        tear=chosen.tear and rng.random() < 0.6,
    )


def _scaled_brows(brows: Brows, strength: float) -> Brows:
    return Brows(
        brows.inner * strength,
        brows.middle * strength,
        brows.outer * strength,
        brows.squeeze,
        brows.uneven,
    )


def _varied_mouth(mouth: Mouth, strength: float, rng: Random) -> Mouth:
    return replace(
        mouth,
        width=mouth.width * rng.uniform(0.93, 1.07),
        curve=mouth.curve * strength,
        above=mouth.above * strength,
        below=mouth.below * strength,
        tilt=mouth.tilt * (1 if rng.random() < 0.5 else -1),
    )


_HAPPY = Expression(
    "HAPPY",
    "HA",
    Brows(-9, -10, -4),
    Eyes(0.95, 0.95, 0.15),
    Mouth(34, 17, 0, 17, 2.2, upper_teeth=8, tongue=9),
    jaw=4,
    folds=1,
    cheeks=1,
)
_GRIN = replace(
    _HAPPY,
    eyes=Eyes(shut=True),
    mouth=Mouth(36, 17, 1, 14, 2.6, upper_teeth=16),
    jaw=1,
)
_ANGER = Expression(
    "ANGER",
    "AN",
    Brows(14, 6, -6, squeeze=5),
    Eyes(0.35, 0.95, 0.75, iris=0.86),
    Mouth(25, -7, 7, 8, 6, upper_teeth=30, clenched=True),
    nostrils=1,
    frown=1,
    folds=0.6,
    tint="d8281c",
    tint_amount=0.24,
    lower_head=2,
)
_SHOUT = replace(
    _ANGER,
    mouth=Mouth(24, -6, 9, 17, 5, upper_teeth=7, lower_teeth=6, tongue=6),
    jaw=8,
)
_FEAR = Expression(
    "FEAR",
    "FE",
    Brows(-19, -11, 3, squeeze=5),
    Eyes(1.6, 1.3, 1.35, iris=0.5),
    Mouth(30, -6, 7, 9, 7, wave=2.4, upper_teeth=34, clenched=True),
    jaw=3,
    forehead=0.8,
    tint="7f9cd8",
    tint_amount=0.3,
    sweat=True,
)
_DREAD = replace(
    _FEAR,
    mouth=Mouth(28, -9, 6, 14, 5, wave=2.6, lower_teeth=6, tongue=5),
    jaw=7,
)
_DISGUST = Expression(
    "DISGUST",
    "DI",
    Brows(10, 3, 0, squeeze=4, uneven=9),
    Eyes(0.42, 0.5, 0.1, iris=0.9, gaze=5),
    Mouth(23, -9, 5, 6, 2.5, tilt=5, upper_teeth=5, tongue=8, tongue_out=True),
    nose_wrinkle=1,
    nostrils=0.7,
    frown=0.4,
    folds=1.2,
    tint="7fae2c",
    tint_amount=0.3,
    jaw=2,
)
_SADNESS = Expression(
    "SADNESS",
    "SA",
    Brows(-15, -3, 8, squeeze=3),
    Eyes(0.75, 0.3, 0.8, iris=1.02),
    Mouth(20, -13, 0, 0, pout=1, drop=3),
    forehead=0.4,
    tint="6a86b0",
    tint_amount=0.1,
    tear=True,
    lower_head=4,
)
_SOB = replace(
    _SADNESS,
    eyes=Eyes(0.55, 0.2, 0.7, iris=1.02, gaze=0),
    mouth=Mouth(22, -15, 0, 3, 2, pout=1, drop=3),
)
_SURPRISE = Expression(
    "SURPRISE",
    "SU",
    Brows(-25, -28, -20),
    Eyes(1.65, 1.65, 1.3, iris=0.84),
    Mouth(14, 0, 13, 21, 2, tongue=8, drop=4),
    jaw=14,
    forehead=1,
)
_NEUTRAL = Expression("NEUTRAL", "NE", mouth=Mouth(18, 0.5))

_VARIANTS = {
    "AN": (_ANGER, _SHOUT),
    "DI": (_DISGUST,),
    "FE": (_FEAR, _DREAD),
    "HA": (_HAPPY, _HAPPY, _GRIN),
    "NE": (_NEUTRAL,),
    "SA": (_SADNESS, _SOB),
    "SU": (_SURPRISE,),
}

EXPRESSIONS = {code: variants[0].name for code, variants in _VARIANTS.items()}
