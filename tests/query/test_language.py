"""The text form: what it admits, and that it means the same as structured terms."""

from __future__ import annotations

import pytest
from numpy.testing import assert_allclose

from calls import array, compose, failure, fresh_name, hit_ids, random_picture, search, term, vector
from gallery import Gallery, clipped, fill, random_vectors
from serving import Served
from tashihiki.v1 import composition_pb2
from tashihiki_server.vocabulary import Vocabulary
from tiny_encoder import tiny_embedding

THIS_ITEM = composition_pb2.PLACEHOLDER_THIS_ITEM
THIS_IMAGE = composition_pb2.PLACEHOLDER_THIS_IMAGE
TOLERANCE = 2e-6


def test_person_kr_plus_happy_is_the_sum_of_the_two_prototypes(
    module_served: Served, people: Gallery
) -> None:
    answer = search(module_served, people.name, "person KR + HAPPY", include_vector=True)
    expected = clipped(people.prototype("person", "KR") + people.prototype("expression", "HAPPY"))
    assert_allclose(array(answer.vector), expected, atol=TOLERANCE)
    assert hit_ids(answer) == people.ranking(expected)[:10]
    assert [t.label for t in answer.terms] == ["person:KR", "expression:HAPPY"]


@pytest.mark.parametrize("minus", ["−", "-", "–", "－"])
@pytest.mark.parametrize("plus", ["+", "＋"])
def test_this_item_minus_background_plus_red_with_every_sign(
    module_served: Served, shop: Gallery, minus: str, plus: str
) -> None:
    bindings = {"this_item": "good_00"}
    text = f"this item {minus} background {plus} red"
    structured = [
        term(placeholder=THIS_ITEM),
        term(-1.0, facet="background"),
        term(attribute=("colour", "red")),
    ]
    written = compose(module_served, shop.name, text, bindings)
    assert written.vector == compose(module_served, shop.name, structured, bindings).vector
    assert [t.WhichOneof("operand") for t in written.terms] == [
        "item_id",
        "ignored_facet",
        "attribute",
    ]


def test_this_item_minus_background_plus_red_finds_items(
    module_served: Served, shop: Gallery
) -> None:
    bindings = {"this_item": "good_00"}
    answer = search(module_served, shop.name, "this item − background + red", bindings)
    assert len(answer.hits) == 10
    assert "good_00" not in hit_ids(answer)


SAME = [
    ("red", [term(attribute=("colour", "red"))]),
    ("+ red", [term(attribute=("colour", "red"))]),
    ("colour:red", [term(attribute=("colour", "red"))]),
    ("colour：red", [term(attribute=("colour", "red"))]),
    ("colour red", [term(attribute=("colour", "red"))]),
    ("red", [term(attribute=("", "red"))]),
    ("red", [term(word="red")]),
    ("wood - red", [term(word="wood"), term(-1.0, word="red")]),
    ("- red + wood", [term(-1.0, word="red"), term(word="wood")]),
    ("0.5 * red + wood", [term(0.5, word="red"), term(word="wood")]),
    (".5*red + 2e0 * wood", [term(0.5, word="red"), term(2.0, word="wood")]),
    ("0.5 × red ＋ 2＊wood", [term(0.5, word="red"), term(2.0, word="wood")]),
    ('mug + "navy blue"', [term(word="mug"), term(attribute=("colour", "navy blue"))]),
    ("mug + 'navy blue'", [term(word="mug"), term(attribute=("colour", "navy blue"))]),
    ("mug + “navy blue”", [term(word="mug"), term(attribute=("colour", "navy blue"))]),
    ('colour:"navy blue"', [term(attribute=("colour", "navy blue"))]),
    ('"colour" "navy blue"', [term(attribute=("colour", "navy blue"))]),
    (
        "mug + 2 * (red - 0.25 * wood)",
        [term(word="mug"), term(2.0, group=[term(word="red"), term(-0.25, word="wood")])],
    ),
    (
        "mug - (red - (wood - plain))",
        [term(word="mug"), term(-1.0, word="red"), term(word="wood"), term(-1.0, word="plain")],
    ),
    ("（mug + red）", [term(word="mug"), term(word="red")]),
    ("item(good_03)", [term(item_id="good_03")]),
    ('item( "good_03" ) + red', [term(item_id="good_03"), term(word="red")]),
    ("ITEM(good_03) - background", [term(item_id="good_03"), term(-1.0, facet="background")]),
    ("item(good_03) - background", [term(item_id="good_03"), term(-1.0, word="background")]),
    ("item（good_03）", [term(item_id="good_03")]),
    ("image(photo) + red", [term(image_name="photo"), term(word="red")]),
    ("vector(mine) - 0.1 * red", [term(vector_name="mine"), term(-0.1, word="red")]),
    ("this image + red", [term(placeholder=THIS_IMAGE), term(word="red")]),
    ("This  Item + red", [term(placeholder=THIS_ITEM), term(word="red")]),
]


@pytest.mark.parametrize(("text", "terms"), SAME, ids=[f"{n}-{t}" for n, (t, _) in enumerate(SAME)])
def test_text_means_the_same_as_terms(
    module_served: Served, shop: Gallery, text: str, terms: list[composition_pb2.Term]
) -> None:
    _, picture = random_picture(5)
    bindings = {
        "this_item": "good_01",
        "this_image": picture,
        "images": {"photo": random_picture(6)[1]},
        "vectors": {"mine": vector(random_vectors(1, 7)[0])},
    }
    written = compose(module_served, shop.name, text, bindings)
    built = compose(module_served, shop.name, terms, bindings)
    assert_allclose(array(written.vector), array(built.vector), atol=1e-7)
    assert [(t.label, t.weight) for t in written.terms] == [
        (t.label, t.weight) for t in built.terms
    ]


@pytest.mark.parametrize("spelling", ["HAPPY", "happy", "Happy", "ＨＡＰＰＹ", '" happy "'])
@pytest.mark.parametrize("facet", ["", "expression:", "EXPRESSION:", "Ｅｘｐｒｅｓｓｉｏｎ "])
def test_case_and_width_do_not_matter(
    module_served: Served, people: Gallery, spelling: str, facet: str
) -> None:
    answer = compose(module_served, people.name, facet + spelling)
    assert_allclose(array(answer.vector), people.prototype("expression", "HAPPY"), atol=TOLERANCE)
    assert answer.terms[0].label == "expression:HAPPY"


@pytest.mark.parametrize("alias", ["HA", "ha", "ＨＡ", "expression HA", "楽", "expression:楽"])
def test_an_alias_stands_for_its_value(module_served: Served, people: Gallery, alias: str) -> None:
    answer = compose(module_served, people.name, alias)
    assert_allclose(array(answer.vector), people.prototype("expression", "HAPPY"), atol=TOLERANCE)


def test_an_item_labelled_with_an_alias_is_a_member_of_the_value(module_served: Served) -> None:
    vectors = dict(zip("abc", random_vectors(3, 11), strict=True))
    labels = {"a": {"mood": "HA"}, "b": {"mood": "HAPPY"}, "c": {"mood": "sad"}}
    gallery = fill(module_served, "aliased", labels, vectors, aliases=[("mood", "HA", "HAPPY")])
    (resolved,) = compose(module_served, gallery.name, "happy").terms
    assert (resolved.label, resolved.member_count) == ("mood:HAPPY", 2)


def test_an_ambiguous_value_is_refused_with_its_candidates(module_served: Served) -> None:
    labels = {"a": {"colour": "red", "trim": "red"}, "b": {"colour": "blue", "trim": "gold"}}
    vectors = dict(zip("ab", random_vectors(2, 12), strict=True))
    name = fill(module_served, "ambiguous", labels, vectors).name
    for form in ("red", [term(word="red")], [term(attribute=("", "red"))]):
        found = failure(lambda form=form: compose(module_served, name, form))  # type: ignore[misc]
        assert (found.reason, found.candidates) == ("AMBIGUOUS_VALUE", ["colour:red", "trim:red"])
        assert "colour:red or trim:red" in found.remedy
    assert compose(module_served, name, "trim:red").terms[0].label == "trim:red"
    assert compose(module_served, name, "gold").terms[0].label == "trim:gold"


def test_a_word_that_is_a_value_and_a_facet_is_the_value(module_served: Served) -> None:
    labels = {"a": {"wood": "oak", "surface": "wood"}, "b": {"wood": "pine", "surface": "stone"}}
    vectors = dict(zip("ab", random_vectors(2, 13), strict=True))
    name = fill(module_served, "wooden", labels, vectors).name
    (resolved,) = compose(module_served, name, "wood").terms
    assert resolved.label == "surface:wood"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("rose-gold", '"rose-gold"'),
        ("a+b", "'a+b'"),
        ('5" pipe', r'"5\" pipe"'),
        ("it's", '"it\'s"'),
        ("(round)", '"(round)"'),
        ("2*2", '"2*2"'),
        ("this item", '"this item"'),
        ("back\\slash", r'"back\\slash"'),
        ("赤", "赤"),
        ("50%", "50%"),
    ],
)
def test_any_value_can_be_written_in_quotes(module_served: Served, name: str, written: str) -> None:
    gallery = fill(
        module_served, fresh_name(), {"a": {"colour": name}}, {"a": random_vectors(1, 14)[0]}
    )
    assert (
        compose(module_served, gallery.name, f"colour:{written}").terms[0].attribute.value == name
    )
    assert compose(module_served, gallery.name, written).terms[0].attribute.value == name


def test_a_picture_is_embedded_wherever_it_stands(module_served: Served, shop: Gallery) -> None:
    pixels, picture = random_picture(21)
    expected = tiny_embedding(pixels)
    forms = [
        ("this image", {"this_image": picture}),
        ("image(x)", {"images": {"x": picture}}),
        ("image('my photo')", {"images": {"my photo": picture}}),
        ([term(image=picture)], {}),
        ([term(image_name="x")], {"images": {"x": picture}}),
        ([term(placeholder=THIS_IMAGE)], {"this_image": picture}),
    ]
    for form, bindings in forms:
        answer = compose(module_served, shop.name, form, bindings)  # type: ignore[arg-type]
        assert float(array(answer.vector) @ expected) > 0.9999
        assert answer.terms[0].WhichOneof("operand") == "image"


def test_a_vector_is_taken_at_unit_length(module_served: Served, shop: Gallery) -> None:
    mine = random_vectors(1, 31)[0]
    for form, bindings in [
        ("vector(v)", {"vectors": {"v": vector(7.0 * mine)}}),
        ([term(vector=vector(0.01 * mine))], {}),
        ([term(vector=vector(1e30 * mine))], {}),
    ]:
        answer = compose(module_served, shop.name, form, bindings)  # type: ignore[arg-type]
        assert_allclose(array(answer.vector), mine, atol=TOLERANCE)
        assert answer.norm == pytest.approx(1.0, abs=1e-6)


SYNTAX = [
    ("", "EXPRESSION_EMPTY", None),
    ("  \t ", "EXPRESSION_EMPTY", None),
    ("+", "EXPRESSION_SYNTAX", 1),
    ("red +", "EXPRESSION_SYNTAX", 5),
    ("red + + wood", "EXPRESSION_SYNTAX", 6),
    ("(red", "EXPRESSION_SYNTAX", 4),
    ("red)", "EXPRESSION_SYNTAX", 3),
    ("()", "EXPRESSION_SYNTAX", 1),
    ("((red) + wood", "EXPRESSION_SYNTAX", 13),
    ('red + "navy', "EXPRESSION_SYNTAX", 6),
    ("kind mug red", "EXPRESSION_SYNTAX", 9),
    ("colour::red", "EXPRESSION_SYNTAX", 7),
    ("2 *", "EXPRESSION_SYNTAX", 3),
    ("red + 1e999*wood", "WEIGHT_INVALID", 6),
    ("red + (nan * wood)", "WEIGHT_INVALID", 7),
    ("(" * 33 + "red" + ")" * 33, "EXPRESSION_SYNTAX", 32),
    ("red + " * 2000 + "red", "EXPRESSION_TOO_LONG", None),
    ("+".join(["red"] * 1001), "TOO_MANY_TERMS", None),
]


@pytest.mark.parametrize(
    ("text", "reason", "position"),
    SYNTAX,
    ids=[f"{n}-{t[:14]}" for n, (t, *_) in enumerate(SYNTAX)],
)
def test_a_fault_of_syntax_is_named_with_its_place(
    module_served: Served, shop: Gallery, text: str, reason: str, position: int | None
) -> None:
    found = failure(lambda: search(module_served, shop.name, text))
    assert found.reason == reason
    assert found.remedy
    if position is not None:
        assert int(found.details["position"]) == position
        if reason == "EXPRESSION_SYNTAX":
            assert f"at character {position + 1}" in found.message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("red + “navy", "Close it with ”."),
        ("red + 'navy", "Close it with '."),
        ('"a (b" +', "the expression ends where a term is needed"),
        ('"a )b" + (red', "a parenthesis is not closed"),
        (f'"{"(" * 33}" + red', 'no value "((((('),
    ],
)
def test_what_stands_in_quotes_is_no_sign(
    module_served: Served, shop: Gallery, text: str, told: str
) -> None:
    found = failure(lambda: search(module_served, shop.name, text))
    assert told in f"{found.message} {found.remedy}"


def test_a_value_with_a_space_that_is_not_quoted_is_told_so(
    module_served: Served, shop: Gallery
) -> None:
    found = failure(lambda: search(module_served, shop.name, "mug + Navy Blue"))
    assert (found.reason, found.candidates) == ("UNKNOWN_FACET", ["colour:navy blue"])
    assert '"navy blue"' in found.remedy


@pytest.mark.parametrize("text", ["t-shirt", "mug -T-Shirt", "category:t-shirt", "t-shirt-red"])
def test_a_value_with_a_sign_that_is_not_quoted_is_told_so(
    module_served: Served, text: str
) -> None:
    vectors = dict(zip("ab", random_vectors(2, 21), strict=True))
    labels = {"a": {"category": "t-shirt", "colour": "red"}, "b": {"category": "mug"}}
    name = fill(module_served, fresh_name("signs"), labels, vectors).name
    found = failure(lambda: search(module_served, name, text))
    if text == "t-shirt-red":
        assert found.reason == "UNKNOWN_VALUE"
    else:
        assert found.candidates == ["category:t-shirt"]
        assert "quoted" in found.remedy
    assert search(module_served, name, '"t-shirt"').hits


def test_of_thousands_of_values_the_one_with_a_sign_is_found_too() -> None:
    names = ["t-shirt", *(f"value {number}" for number in range(6000))]
    vocabulary = Vocabulary()
    for name in names:
        vocabulary.add({"kind": name})
    assert [vocabulary.value_name(key) for key in vocabulary.alike("T shirt")] == ["t-shirt"]
    vocabulary.remove({"kind": 0})
    assert not vocabulary.alike("T shirt")


def test_of_many_items_the_nearest_is_found_too(module_served: Served) -> None:
    labels = {f"shot_{number:04}.jpg": {"colour": "red"} for number in range(300)}
    vectors = dict(zip(labels, random_vectors(300, 22), strict=True))
    name = fill(module_served, fresh_name("shots"), labels, vectors).name
    for wrong in ("shot_0123", "SHOT_0123.jpg", "shot_0123.jpeg", "shot_0123.jpgg"):
        found = failure(lambda wrong=wrong: search(module_served, name, f"item({wrong})"))  # type: ignore[misc]
        assert found.message == f"no item {wrong!r}; did you mean shot_0123.jpg?"
        assert found.candidates == ["shot_0123.jpg"]
    for wrong in ("portrait_0123.jpg", "shot_9999", "x" * 500, "長" * 60):
        found = failure(lambda wrong=wrong: search(module_served, name, f"item({wrong})"))  # type: ignore[misc]
        assert (found.reason, found.details.get("candidates")) == ("UNKNOWN_ITEM", None)


def test_a_number_behind_a_dot_is_no_ending(module_served: Served) -> None:
    labels = {one: {"person": "KA"} for one in ("KA.AN1.39.tiff", "KA.HA2.30.tiff", "sku.0000")}
    vectors = dict(zip(labels, random_vectors(3, 23), strict=True))
    name = fill(module_served, fresh_name("dots"), labels, vectors).name
    for wrong, near in (("KA.AN1.39", "KA.AN1.39.tiff"), ("sku.9999", None)):
        found = failure(lambda wrong=wrong: search(module_served, name, f"item({wrong})"))  # type: ignore[misc]
        assert found.details.get("candidates") == near


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mug, red", "did you mean mug + red?"),
        ("mug,red", "did you mean mug + red?"),
        ("2 mug", "did you mean 2 * mug?"),
        ("not red", "the filter `not colour:red` leaves its items out"),
        ("mug & red", "'&' does not join terms, at character 5"),
        ("mug and red", "'and' does not join terms, at character 5"),
        ("mug, red, wood", "',' does not join terms, at character 9"),
        ("mug red)", "a parenthesis is not opened"),
    ],
)
def test_what_is_written_for_a_sign_is_told(
    module_served: Served, shop: Gallery, text: str, told: str
) -> None:
    found = failure(lambda: search(module_served, shop.name, text))
    assert told in f"{found.message} {found.remedy}"


def test_a_misspelt_value_behind_a_minus_is_no_sum(module_served: Served, people: Gallery) -> None:
    found = failure(lambda: search(module_served, people.name, "person:KR -hapy"))
    assert found.message == "no value hapy; did you mean expression:HAPPY?"


@pytest.mark.parametrize("text", ["persn:KR + HAPPY", "-persn:KR", "HAPPY - persn:KR"])
def test_a_misspelt_facet_is_told_so(module_served: Served, people: Gallery, text: str) -> None:
    found = failure(lambda: search(module_served, people.name, text))
    assert found.reason == "UNKNOWN_FACET"
    assert found.message == "no facet persn; did you mean person?"
    assert "quoted" not in found.remedy


def test_groups_nested_to_the_limit_are_read(module_served: Served, shop: Gallery) -> None:
    text = "(" * 32 + "red" + ")" * 32
    assert compose(module_served, shop.name, text).terms[0].label == "colour:red"


@pytest.mark.parametrize("text", ["x" * 9000, "item(" + "長" * 2000 + ")", "colour:" + "い" * 5000])
def test_a_long_name_that_is_not_there_is_refused_with_its_reason(
    module_served: Served, shop: Gallery, text: str
) -> None:
    found = failure(lambda: search(module_served, shop.name, text))
    assert found.reason in {"UNKNOWN_VALUE", "UNKNOWN_FACET", "UNKNOWN_ITEM"}


def test_long_candidates_are_told_as_far_as_there_is_room(module_served: Served) -> None:
    labels = {str(n): {f"facet{n}": "長" * 256, "colour": "緑" * 250 + str(n)} for n in range(30)}
    vectors = dict(zip(labels, random_vectors(30, 15), strict=True))
    name = fill(module_served, "long-candidates", labels, vectors).name
    assert failure(lambda: search(module_served, name, "長" * 256)).reason == "AMBIGUOUS_VALUE"
    assert failure(lambda: search(module_served, name, "緑" * 250)).reason == "UNKNOWN_VALUE"


def test_the_fault_of_a_name_points_at_its_place_in_the_text(
    module_served: Served, shop: Gallery
) -> None:
    text = "mug + 2 * (red - grene)"
    found = failure(lambda: search(module_served, shop.name, text))
    assert found.reason == "UNKNOWN_VALUE"
    start, length = int(found.details["position"]), int(found.details["length"])
    assert text[start : start + length] == "grene"


def test_a_misspelt_name_gets_a_suggestion(module_served: Served, shop: Gallery) -> None:
    assert (
        "background:wood" in failure(lambda: search(module_served, shop.name, "woood")).candidates
    )
    assert (
        "colour:blue" in failure(lambda: search(module_served, shop.name, "colour:bleu")).candidates
    )
    assert "colour" in failure(lambda: search(module_served, shop.name, "color red")).candidates


def test_two_values_without_a_sign_are_told_so(module_served: Served, shop: Gallery) -> None:
    found = failure(lambda: search(module_served, shop.name, "red mug"))
    assert (found.reason, found.candidates) == ("UNKNOWN_FACET", ["red + mug"])
    assert "did you mean red + mug?" in found.message
    assert search(module_served, shop.name, "red + mug").hits
