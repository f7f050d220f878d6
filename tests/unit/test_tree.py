"""Nested values, walked."""

from domain.sources.tree import is_in, last_key, leaves, map_texts, value_at

VALUE: dict[str, object] = {"a": ["x", {"b": "y", "c": 3}, []], "d": {}, "e": None}


def test_the_leaves_come_in_order_with_their_ways() -> None:
    assert [*leaves(VALUE)] == [
        (("a", 0), "x"),
        (("a", 1, "b"), "y"),
        (("a", 1, "c"), 3),
        (("e",), None),
    ]
    assert [*leaves("alone", ("root",))] == [(("root",), "alone")]


def test_texts_change_and_all_else_stays() -> None:
    changed = map_texts(VALUE, lambda text, path: [text, *path], ("root",))
    assert changed == {
        "a": [["x", "root", "a", 0], {"b": ["y", "root", "a", 1, "b"], "c": 3}, []],
        "d": {},
        "e": None,
    }


def test_a_list_has_the_key_that_it_stands_under() -> None:
    assert last_key(("a", 1, "b", 2, 3)) == "b"
    assert last_key((0,)) == last_key(()) == ""


def test_a_way_leads_as_far_as_there_are_steps() -> None:
    assert value_at(VALUE, ("a", 1, "c")) == (3, 3)
    assert value_at(VALUE, ("a", 7, "c")) == (None, 1)
    assert value_at(VALUE, ("a", 0, "c")) == (None, 2)
    assert is_in(VALUE, ("e",))
    assert not is_in(VALUE, ("d", "e"))
