"""Names of classes match without regard to case, blanks, plural and spelling."""

import pytest

from cmir_ref.data.class_names import EARTH_ON_CANVAS, match_classes, plain_name, say_left_out
from cmir_ref.data.ucmerced import CLASS_NAMES


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Tennis Courts", "tenniscourt"),
        ("Aeroplane", "airplane"),
        ("AIRPLANES", "airplane"),
        ("storage_tank", "storagetanks"),
        ("Mobile-Home Park", "mobilehomepark"),
        ("Harbours", "harbor"),
        ("golf course", "GolfCourse"),
        ("forêt", "fore\u0302t"),  # as Macs write it
    ],
)
def test_one_class(one, other):
    assert plain_name(one) == plain_name(other)


def test_different_classes_stay_different():
    assert len({plain_name(name) for name in CLASS_NAMES}) == len(CLASS_NAMES)
    assert plain_name("grass") == "grass"
    apart = ("1.1", "11", "1.11", "नद", "नदी", "+", "-", "champ", "foret", "forêt")
    assert len({plain_name(name) for name in apart}) == len(apart)


def test_the_14_classes_of_earth_on_canvas_are_uc_merceds():
    assert len(EARTH_ON_CANVAS) == 14 and {*EARTH_ON_CANVAS.values()} < {*CLASS_NAMES}
    matched = match_classes((), CLASS_NAMES, [name.title() for name in EARTH_ON_CANVAS])
    assert [ours for ours, _ in matched] == sorted(EARTH_ON_CANVAS.values())


def test_wanted_classes_in_any_spelling_and_in_the_photos_order():
    found = match_classes(["Tennis Court", "aeroplanes"], CLASS_NAMES, ["Tenniscourt", "River", "Aeroplane"])
    assert found == [("airplane", "Aeroplane"), ("tenniscourt", "Tenniscourt")]


def test_a_class_that_one_side_lacks_is_refused_with_a_table(refused):
    with refused("class 'river' has no sketches", "airplane: airplane | Aeroplane", "tennis court: tenniscourt | –"):
        match_classes(["river"], ["airplane", "river", "tenniscourt"], ["Aeroplane"])
    with refused("class 'zoo' has no photos", "set classes=[]", "others: farm | –"):
        match_classes(["zoo"], ["farm"], ["airplane"])
    with refused("no class in common", "others: farm | castle"):
        match_classes([], ["farm"], ["castle"])


def test_two_folders_of_one_class_are_refused(refused):
    with refused("sketches", "'Runway' and 'runways' name the same class"):
        match_classes([], ["runway"], ["Runway", "runways"])


def test_what_one_side_lacks_is_said_with_three_names_at_the_most():
    names = ["a", "b", "river", "c", "d", "e"]
    photos, sketches = (
        f"{kind} of their class left out" for kind in ("photos without sketches", "sketches without photos")
    )
    for count, rest in ((6, " and 2 more"), (5, " and 1 more"), (4, "")):
        said = say_left_out([("river", "Rivers")], names[:count], ["Rivers", "Castle"])
        assert said == (f"{photos}: a, b, c{rest}", f"{sketches}: Castle")
    assert say_left_out([("river", "Rivers")], ["river"], ["Rivers"]) == ()


def test_plurals_of_every_kind_are_one_name():
    for one, many in (
        ("beach", "Beaches"),
        ("overpass", "overpasses"),
        ("Church", "churches"),
        ("factory", "factories"),
    ):
        assert plain_name(one) == plain_name(many)
    assert len({plain_name(name) for name in CLASS_NAMES}) == len(CLASS_NAMES)
