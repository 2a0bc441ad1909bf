"""Labels that come from outside."""

from rscollector.kit.bounded import OTHER, Bounded


def test_there_is_room_for_so_many_names_and_all_others_are_one():
    """The first keep their places, whoever comes later."""
    name = Bounded(3)
    assert [name(each) for each in "abcdabc"] == ["a", "b", "c", OTHER, "a", "b", "c"]


def test_a_restart_makes_no_room():
    """The names of an earlier life count as long as they are kept."""
    before = Bounded(2)
    for each in "abc":
        before(each)
    after = Bounded(2, before.kept)
    assert [after(each) for each in "cab"] == [OTHER, "a", "b"]


def test_more_kept_names_than_there_is_room_are_cut():
    """A file that somebody has changed does not lift the bound."""
    assert Bounded(2, "abcdef").kept == ["a", "b"]


def test_a_name_is_of_a_bounded_length():
    """A line of a log may have any."""
    name = Bounded(2)
    assert name("x" * 5000) == name("x" * 200) == "x" * 100
    assert len(name.kept) == 1
