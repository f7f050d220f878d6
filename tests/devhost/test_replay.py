"""The rules of `replay`, one by one: what a history and the SDK's answer amount to.

Histories are lists of episodes: what arrived in a turn and what the turn asked for. Answers
are action lists as SDK 1.7.0 sends them.
"""

from datetime import datetime, timedelta
from typing import Any

import pytest

from devhost.events import Event, EventType, event, execution_started, moment, stamp
from devhost.replay import (
    Completed,
    ContinuedAsNew,
    Failed,
    OrchestrationFault,
    Turn,
    replay,
)

Action = dict[str, Any]
Shown = tuple[int, str, str | None]

TASK, SUB, TIMER = "TASK_SCHEDULED", "SUB_ORCHESTRATION_CREATED", "TIMER_CREATED"
START = datetime.fromisoformat("2030-01-01T00:00:00Z")


def at(seconds: float) -> str:
    return stamp(START + timedelta(seconds=seconds))


# -- histories --------------------------------------------------------------------------------


def begun() -> Event:
    return execution_started(
        at(0), name="O", version="", instance_id="i", execution_id="e", input_text=None
    )


def completed(id_: int) -> Event:
    return event(EventType.TASK_COMPLETED, at(0), TaskScheduledId=id_, Result="null")


def failed(id_: int) -> Event:
    return event(EventType.TASK_FAILED, at(0), TaskScheduledId=id_, Reason="", Details=None)


def child_completed(id_: int) -> Event:
    return event(EventType.SUB_ORCHESTRATION_COMPLETED, at(0), TaskScheduledId=id_, Result="null")


def child_failed(id_: int) -> Event:
    return event(EventType.SUB_ORCHESTRATION_FAILED, at(0), TaskScheduledId=id_, Reason="")


def fired(id_: int) -> Event:
    return event(EventType.TIMER_FIRED, at(0), TimerId=id_, FireAt=at(0))


def raised(name: str, input_: str = "null") -> Event:
    return event(EventType.EVENT_RAISED, at(0), Name=name, Input=input_)


def asked_task(id_: int, name: str) -> Event:
    return event(EventType.TASK_SCHEDULED, at(0), id_, Name=name)


def asked_child(id_: int, name: str) -> Event:
    return event(EventType.SUB_ORCHESTRATION_CREATED, at(0), id_, Name=name)


def asked_timer(id_: int) -> Event:
    return event(EventType.TIMER_CREATED, at(0), id_, FireAt=at(0))


_ASKED = {EventType.TASK_SCHEDULED, EventType.SUB_ORCHESTRATION_CREATED, EventType.TIMER_CREATED}


def turns(*episodes: list[Event], seconds: float = 1) -> list[Event]:
    """The history of these episodes, `seconds` apart; the last of them is at work."""
    history: list[Event] = []
    for number, entries in enumerate(episodes):
        if history:
            history.append(event(EventType.ORCHESTRATOR_COMPLETED, at(seconds * number)))
        history += [event(EventType.ORCHESTRATOR_STARTED, at(seconds * number)), *entries]
    return history


# -- answers ----------------------------------------------------------------------------------


def call(name: str) -> Action:
    return {"actionType": 0, "functionName": name, "input": f'"for {name}"'}


def call_child(name: str, **more: Any) -> Action:
    return {"actionType": 2, "functionName": name, "input": "null", "instanceId": None} | more


def retried(action: Action, attempts: int, milliseconds: int = 5_000) -> Action:
    """The action with retries, in the group of one that the SDK puts it in."""
    options = {
        "firstRetryIntervalInMilliseconds": milliseconds,
        "maxNumberOfAttempts": attempts,
    }
    return all_of(action | {"actionType": action["actionType"] + 1, "retryOptions": options})


def again(input_: str = "null") -> Action:
    return {"actionType": 4, "input": input_}


def timer(seconds: float = 60, *, cancelled: bool = False) -> Action:
    due = START + timedelta(seconds=seconds)
    return {
        "actionType": 5,
        "fireAt": due.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "isCanceled": cancelled,
    }


def wait(name: str) -> Action:
    return {"actionType": 6, "externalEventName": name, "reason": "ExternalEvent"}


def any_of(*actions: Action) -> Action:
    return {"actionType": 11, "compoundActions": list(actions)}


def all_of(*actions: Action) -> Action:
    return {"actionType": 12, "compoundActions": list(actions)}


def answer(*actions: Action, done: bool = False, **more: Any) -> dict[str, Any]:
    return {"isDone": done, "actions": [list(actions)], "schemaVersion": 2} | more


def shown(turn: Turn) -> list[Shown]:
    """What a turn schedules, as (id, kind, name)."""
    return [(e["EventId"], EventType(e["EventType"]).name, e.get("Name")) for e in turn.scheduled]


# -- ids --------------------------------------------------------------------------------------


def test_an_action_is_invoked_only_after_the_one_before_it_was_awaited() -> None:
    turn = replay(turns([begun()]), answer(call("A"), call("B")))
    assert shown(turn) == [(0, TASK, "A")]
    assert turn.inputs == {0: '"for A"'}
    assert turn.ending is None


def test_a_result_brings_the_next_action_with_the_next_id() -> None:
    turn = replay(
        turns([begun(), asked_task(0, "A")], [completed(0)]), answer(call("A"), call("B"))
    )
    assert shown(turn) == [(1, TASK, "B")]
    assert turn.inputs == {1: '"for B"'}


def test_ids_go_depth_first_through_groups_and_a_wait_takes_none() -> None:
    actions = answer(
        all_of(
            call("A"), any_of(wait("x"), timer(), all_of(call("B"), wait("y"))), call_child("C")
        ),
        call("never yet"),
    )
    turn = replay(turns([begun()]), actions)
    assert shown(turn) == [(0, TASK, "A"), (1, TIMER, None), (2, TASK, "B"), (3, SUB, "C")]


def test_what_the_history_holds_already_is_not_scheduled_again() -> None:
    history = turns([begun(), asked_task(0, "A"), asked_timer(1)], [raised("other")])
    assert replay(history, answer(all_of(call("A"), timer()))) == Turn()


def test_several_results_in_one_turn_each_bring_what_they_allow() -> None:
    history = turns(
        [begun(), asked_task(0, "A")],
        [completed(0), raised("x")],
    )
    turn = replay(history, answer(call("A"), wait("x"), call("B"), call("C")))
    assert shown(turn) == [(1, TASK, "B")]


def test_names_are_compared_in_any_case() -> None:
    history = turns([begun(), asked_task(0, "getstatus")], [completed(0)])
    assert shown(replay(history, answer(call("GetStatus"), call("B")))) == [(1, TASK, "B")]


def test_a_childs_id_is_the_given_one_or_made_of_execution_and_task() -> None:
    turn = replay(
        turns([begun()]),
        answer(
            all_of(call_child("C"), call_child("D", instanceId="mine", version="2", input='"in"'))
        ),
    )
    assert [e["InstanceId"] for e in turn.scheduled] == ["e:0", "mine"]
    assert [e["Version"] for e in turn.scheduled] == ["", "2"]
    assert turn.scheduled[1]["Input"] == '"in"'


def test_a_timer_is_due_when_the_sdk_says_in_the_hosts_format() -> None:
    turn = replay(turns([begun()]), answer(timer(90)))
    assert turn.scheduled[0]["FireAt"] == "2030-01-01T00:01:30.0000000Z"


# -- groups -----------------------------------------------------------------------------------


def test_when_any_is_over_with_its_first_child() -> None:
    history = turns([begun(), asked_task(0, "A"), asked_task(1, "B")], [completed(1)])
    turn = replay(history, answer(any_of(call("A"), call("B")), call("C")))
    assert shown(turn) == [(2, TASK, "C")]


@pytest.mark.parametrize("first", [completed(0), failed(0)])
def test_when_all_waits_for_every_child_even_when_one_failed(first: Event) -> None:
    begin = [begun(), asked_task(0, "A"), asked_task(1, "B")]
    actions = answer(all_of(call("A"), call("B")), call("C"))
    assert shown(replay(turns(begin, [first]), actions)) == []
    assert shown(replay(turns(begin, [first], [completed(1)]), actions)) == [(2, TASK, "C")]


def test_groups_nest() -> None:
    begin = [begun(), asked_task(0, "A"), asked_task(1, "B"), asked_task(2, "C")]
    actions = answer(all_of(any_of(call("A"), call("B")), call("C")), call("D"))
    assert shown(replay(turns(begin, [completed(2)]), actions)) == []
    assert shown(replay(turns(begin, [completed(2), completed(1)]), actions)) == [(3, TASK, "D")]


def test_an_empty_group_is_over_at_once() -> None:
    assert shown(replay(turns([begun()]), answer(all_of(), any_of(), call("A")))) == [
        (0, TASK, "A")
    ]


# -- retries ----------------------------------------------------------------------------------


def test_a_retry_is_attempt_timer_attempt_and_a_timer_due_at_once_at_the_end() -> None:
    actions = answer(retried(call("A"), attempts=2), call("B"))
    episodes = [[begun(), asked_task(0, "A")], [failed(0)]]

    turn = replay(turns(*episodes), actions)
    assert shown(turn) == [(1, TIMER, None)]
    assert turn.scheduled[0]["FireAt"] == at(1 + 5), "the interval counts from the turn of failure"

    episodes[-1].append(asked_timer(1))
    episodes.append([fired(1)])
    turn = replay(turns(*episodes), actions)
    assert shown(turn) == [(2, TASK, "A")]
    assert turn.inputs == {2: '"for A"'}

    episodes[-1].append(asked_task(2, "A"))
    episodes.append([failed(2)])
    turn = replay(turns(*episodes), actions)
    assert shown(turn) == [(3, TIMER, None)], "the SDK waits for this one too"
    assert turn.scheduled[0]["FireAt"] == at(3)

    episodes[-1].append(asked_timer(3))
    episodes.append([fired(3)])
    assert shown(replay(turns(*episodes), actions)) == [(4, TASK, "B")]


def test_a_retry_ends_with_the_first_success() -> None:
    history = turns(
        [begun(), asked_task(0, "A")],
        [failed(0), asked_timer(1)],
        [fired(1), asked_task(2, "A")],
        [completed(2)],
    )
    actions = answer(retried(call("A"), attempts=5), call("B"))
    assert shown(replay(history, actions)) == [(3, TASK, "B")]


def test_a_single_attempt_that_fails_still_takes_the_last_timer() -> None:
    history = turns([begun(), asked_task(0, "A")], [failed(0)])
    turn = replay(history, answer(retried(call("A"), attempts=1), call("B")))
    assert shown(turn) == [(1, TIMER, None)]
    assert turn.scheduled[0]["FireAt"] == at(1)


def test_a_child_is_retried_under_a_new_id() -> None:
    history = turns(
        [begun(), asked_child(0, "C")],
        [child_failed(0), asked_timer(1)],
        [fired(1)],
    )
    turn = replay(history, answer(retried(call_child("C"), attempts=2)))
    assert shown(turn) == [(2, SUB, "C")]
    assert turn.scheduled[0]["InstanceId"] == "e:2"


def test_retries_of_a_group_take_ids_as_they_come() -> None:
    history = turns(
        [begun(), asked_task(0, "A"), asked_task(1, "B")],
        [failed(1), asked_timer(2)],
        [failed(0), fired(2), asked_timer(3), asked_task(4, "B")],
        [fired(3)],
    )
    actions = answer(all_of(retried(call("A"), 3), retried(call("B"), 3)))
    assert shown(replay(history, actions)) == [(5, TASK, "A")]


def test_a_retry_goes_on_after_the_race_it_lost() -> None:
    history = turns(
        [begun(), asked_task(0, "A"), asked_timer(1)],
        [fired(1), asked_task(2, "B")],
        [failed(0), asked_timer(3)],
        [completed(2)],
    )
    actions = answer(any_of(retried(call("A"), 2), timer()), call("B"), call("C"))
    assert shown(replay(history, actions)) == [(4, TASK, "C")]


# -- cancelled timers -------------------------------------------------------------------------


def test_a_cancelled_timer_is_over_and_need_not_fire() -> None:
    begin = [begun(), asked_timer(0)]
    actions = answer(any_of(timer(cancelled=True), wait("x")), done=True)
    turn = replay(turns(begin, [raised("x")]), actions)
    assert turn.cancelled == {0}
    assert turn.ending == Completed(None)


def test_a_timer_cancelled_in_its_own_turn_takes_its_id_all_the_same() -> None:
    turn = replay(turns([begun()]), answer(timer(cancelled=True), call("A")))
    assert shown(turn) == [(0, TIMER, None), (1, TASK, "A")]
    assert turn.cancelled == {0}


def test_a_cancelled_timer_that_fires_after_all_changes_nothing() -> None:
    history = turns(
        [begun(), asked_timer(0)], [raised("x"), asked_task(1, "A")], [fired(0)], [completed(1)]
    )
    actions = answer(any_of(timer(cancelled=True), wait("x")), call("A"), call("B"))
    assert shown(replay(history, actions)) == [(2, TASK, "B")]


def test_a_timer_that_lost_but_was_not_cancelled_keeps_the_generation_open() -> None:
    begin, actions = [begun(), asked_timer(0)], answer(any_of(timer(), wait("x")), done=True)
    assert replay(turns(begin, [raised("x")]), actions).ending is None
    assert replay(turns(begin, [raised("x")], [fired(0)]), actions).ending == Completed(None)


def test_a_timer_cancelled_after_a_retry_in_the_same_race_does_not_fit_any_more() -> None:
    """So it is on the real host: the cancelled timer ends the race before the retry began."""
    history = turns(
        [begun(), asked_timer(0), asked_task(1, "A")],
        [failed(1), asked_timer(2)],
        [raised("x")],
    )
    race = any_of(timer(cancelled=True), retried(call("A"), 2), wait("x"))
    with pytest.raises(OrchestrationFault, match="TimerCreated as task 2, but the code asks for"):
        replay(history, answer(race, call("B")))


def test_work_bears_the_time_of_the_turn_that_asked_for_it() -> None:
    """Though with the timer cancelled the code could have asked for it in the turn before."""
    race = any_of(timer(cancelled=True), wait("x"))
    turn = replay(turns([begun(), asked_timer(0)], [raised("x")]), answer(race, call("A")))
    assert [e["Timestamp"] for e in turn.scheduled] == [at(1)]


# -- external events --------------------------------------------------------------------------


@pytest.mark.parametrize(("waits", "comes"), [("Hint", "Hint"), ("Hint", "hINT"), ("hint", "HINT")])
def test_an_event_ends_the_wait_for_it_whatever_its_case(waits: str, comes: str) -> None:
    history = turns([begun()], [raised(comes)])
    assert shown(replay(history, answer(wait(waits), call("A")))) == [(0, TASK, "A")]


def test_an_event_of_another_name_does_not() -> None:
    assert replay(turns([begun()], [raised("other")]), answer(wait("x"), call("A"))) == Turn()


def test_the_newest_waiter_gets_the_event() -> None:
    begin, actions = (
        [begun(), asked_timer(0)],
        answer(any_of(timer(), wait("x")), wait("x"), call("A")),
    )
    assert shown(replay(turns(begin, [fired(0)]), actions)) == []
    assert shown(replay(turns(begin, [fired(0)], [raised("x")]), actions)) == [(1, TASK, "A")]


def test_an_older_waiter_gets_the_next_event() -> None:
    history = turns([begun()], [raised("x")])
    actions = answer(all_of(wait("x"), wait("X")), call("A"))
    assert shown(replay(history, actions)) == []
    assert shown(replay([*history, raised("x")], actions)) == [(0, TASK, "A")]


@pytest.mark.parametrize(("early", "reached"), [(0, []), (1, []), (2, [(1, TASK, "B")])])
def test_early_events_wait_in_a_queue_one_for_each_wait(early: int, reached: list[Shown]) -> None:
    history = turns(
        [begun(), asked_task(0, "A")],
        [*[raised("X")] * early, completed(0)],
    )
    actions = answer(call("A"), wait("x"), wait("x"), call("B"))
    assert shown(replay(history, actions)) == reached


# -- continue-as-new --------------------------------------------------------------------------


def test_continue_as_new_ends_the_generation_with_its_input() -> None:
    turn = replay(turns([begun()]), answer(again('{"n": 1}'), done=True))
    assert turn.ending == ContinuedAsNew('{"n": 1}')


def test_events_after_continue_as_new_are_carried_and_those_before_dropped() -> None:
    history = turns(
        [begun(), asked_task(0, "A")],
        [raised("x", "1"), completed(0), raised("x", "2"), raised("Y", "3")],
    )
    turn = replay(history, answer(call("A"), again(), done=True))
    assert turn.ending == ContinuedAsNew("null")
    assert [e["Input"] for e in turn.carried] == ["2", "3"]


def test_continue_as_new_waits_for_what_is_open_and_carries_what_comes_meanwhile() -> None:
    begin, actions = (
        [begun(), asked_timer(0)],
        answer(any_of(timer(), wait("x")), again(), done=True),
    )
    turn = replay(turns(begin, [raised("x", "1")], [raised("x", "2")]), actions)
    assert turn.ending is None
    turn = replay(
        turns(begin, [raised("x", "1")], [raised("x", "2")], [fired(0), raised("x", "3")]), actions
    )
    assert turn.ending == ContinuedAsNew("null")
    assert [e["Input"] for e in turn.carried] == ["2", "3"]


def test_cancel_and_continue_as_new_in_the_turn_of_an_event_redelivers_it() -> None:
    """So it is on the real host: an awaited activity has to stand between the two."""
    history = turns([begun(), asked_timer(0)], [raised("x")])
    race = any_of(timer(cancelled=True), wait("x"))
    assert replay(history, answer(race, again(), done=True)).carried == [raised("x")]
    history = turns([begun(), asked_timer(0)], [raised("x"), asked_task(1, "A")], [completed(1)])
    assert replay(history, answer(race, call("A"), again(), done=True)).carried == []


def test_an_error_after_continue_as_new_wins() -> None:
    turn = replay(turns([begun()]), answer(again(), done=True, error="late"))
    assert turn.ending == Failed("late")


# -- endings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "ending"),
    [
        ({"done": True, "output": {"a": 1}}, Completed({"a": 1})),
        ({"done": True}, Completed(None)),
        ({"done": False}, None),
        ({"done": False, "error": "ValueError"}, Failed("ValueError")),
        ({"done": True, "error": "ValueError"}, Failed("ValueError")),
    ],
)
def test_an_orchestrator_that_asked_for_nothing(
    more: dict[str, Any], ending: Completed | Failed | None
) -> None:
    assert replay(turns([begun()]), answer(**more)).ending == ending


@pytest.mark.parametrize("end", [{"done": True}, {"error": "boom"}])
@pytest.mark.parametrize(
    ("begin", "arrival", "action"),
    [
        (asked_task(1, "B"), completed(1), call("B")),
        (asked_task(1, "B"), failed(1), call("B")),
        (asked_child(1, "B"), child_completed(1), call_child("B")),
        (asked_child(1, "B"), child_failed(1), call_child("B")),
        (asked_timer(1), fired(1), timer()),
    ],
)
def test_the_end_comes_only_when_nothing_is_open(
    begin: Event, arrival: Event, action: Action, end: dict[str, Any]
) -> None:
    actions = answer(any_of(call("A"), action), **end)
    episodes = [[begun(), asked_task(0, "A"), begin], [completed(0)]]
    assert replay(turns(*episodes), actions).ending is None
    assert replay(turns(*episodes, [arrival]), actions).ending is not None


def test_an_event_that_is_waited_for_keeps_nothing_open() -> None:
    history = turns([begun(), asked_task(0, "A")], [completed(0)])
    actions = answer(any_of(call("A"), wait("x")), done=True, output=1)
    assert replay(history, actions).ending == Completed(1)


def test_the_end_comes_only_when_every_action_was_awaited() -> None:
    """The SDK lets one early event serve two waits, and so may be done too soon."""
    history = turns([begun(), raised("x")])
    actions = answer(wait("x"), wait("x"), done=True)
    assert replay(history, actions).ending is None
    assert replay([*history, raised("x")], actions).ending == Completed(None)


@pytest.mark.parametrize("odd", [completed(7), failed(7), fired(7), completed(0)])
def test_results_for_nothing_that_is_open_are_ignored(odd: Event) -> None:
    history = turns([begun(), asked_task(0, "A")], [completed(0)], [odd])
    assert shown(replay(history, answer(call("A"), call("B")))) == [(1, TASK, "B")]


# -- what does not fit ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recorded", "action"),
    [
        (asked_task(0, "A"), call("B")),
        (asked_task(0, "A"), timer()),
        (asked_task(0, "A"), call_child("A")),
        (asked_timer(0), call("A")),
        (asked_timer(0), call_child("A")),
        (asked_child(0, "A"), call("A")),
        (asked_child(0, "A"), call_child("B")),
        (asked_child(0, "A"), timer()),
    ],
)
def test_another_kind_or_name_than_recorded_is_a_fault(recorded: Event, action: Action) -> None:
    with pytest.raises(OrchestrationFault, match="as task 0, but the code asks for"):
        replay(turns([begun(), recorded], [raised("x")]), answer(action))


@pytest.mark.parametrize("recorded", [asked_task(0, "A"), asked_timer(0), asked_child(0, "A")])
@pytest.mark.parametrize(
    "actions", [answer(wait("x")), answer(done=True), answer(again(), done=True)]
)
def test_recorded_work_that_the_code_no_longer_asks_for_is_a_fault(
    recorded: Event, actions: dict[str, Any]
) -> None:
    with pytest.raises(OrchestrationFault, match="as task 0, but the code no longer asks for it"):
        replay(turns([begun(), recorded], [raised("y")]), actions)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (7, "call_entity"),
        (8, "call_http"),
        (9, "signal_entity"),
        (10, "signal_entity"),
        (13, "action type 13"),
    ],
)
def test_actions_that_are_not_served_are_named(kind: int, name: str) -> None:
    with pytest.raises(OrchestrationFault, match=name):
        replay(turns([begun()]), answer({"actionType": kind}))


def test_the_time_of_a_retry_is_that_of_the_turn_not_of_the_result() -> None:
    history = turns([begun(), asked_task(0, "A")], [failed(0)], seconds=100)
    turn = replay(history, answer(retried(call("A"), 2, milliseconds=250)))
    assert moment(turn.scheduled[0]["FireAt"]) == START + timedelta(seconds=100.25)
