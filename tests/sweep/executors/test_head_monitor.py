"""A head that falls silent: a socket on loopback that is closed, or that answers nothing."""

import socket
import time
from collections.abc import Callable, Iterator
from threading import Event

import pytest

from sweep.errors import ClusterError
from sweep.executors import head_monitor as module
from sweep.executors.head_monitor import Head
from sweep.executors.preflight import Node

NODES = [Node("a", "a", {"CPU": 1})]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.1)
    monkeypatch.setattr(module, "SILENT_SECONDS", 1.0)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def there() -> list[Node]:
    return list(NODES)


@pytest.fixture
def head(quick: None, listener: socket.socket, there: list[Node]) -> Iterator[Head]:
    asked = Head(f"127.0.0.1:{listener.getsockname()[1]}", lambda: there)
    yield asked
    asked.close()


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def gives_up(head: Head) -> bool:
    try:
        assert head.nodes() == NODES
    except ClusterError:
        return True
    return False


def test_a_head_that_is_there_tells_who_joined(head: Head, there: list[Node]) -> None:
    assert head.answers
    assert head.nodes() == NODES
    there.append(Node("b", "b", {"CPU": 1}))
    until(lambda: head.nodes() == there)


def test_while_a_head_is_silent_its_nodes_are_those_that_were_and_then_it_is_given_up(
    head: Head, listener: socket.socket
) -> None:
    listener.close()
    until(lambda: not head.answers)
    until(lambda: gives_up(head))
    with pytest.raises(ClusterError, match=r"has not answered for 1 s.*run the same command"):
        head.nodes()


def test_a_process_that_was_stopped_for_a_while_does_not_take_its_head_for_silent(
    quick: None, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 3600.0)
    head = Head(f"127.0.0.1:{listener.getsockname()[1]}", lambda: NODES)
    time.sleep(1.5 * module.SILENT_SECONDS)  # nobody asks meanwhile
    assert head.answers
    assert head.nodes() == NODES
    head.close()


def test_a_head_that_comes_back_is_asked_again(
    head: Head, listener: socket.socket, there: list[Node], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT_SECONDS", 30.0)
    place = listener.getsockname()
    listener.close()
    until(lambda: not head.answers)
    there.append(Node("b", "b", {"CPU": 1}))
    assert head.nodes() == NODES
    with socket.create_server(place):
        until(lambda: head.answers)
        assert head.nodes() == there


def test_a_head_that_listens_and_says_nothing_is_given_up_by_those_who_do_not_wait_for_it(
    quick: None, listener: socket.socket
) -> None:
    thawed = Event()
    answers = iter([NODES])

    def ask() -> list[Node]:
        found = next(answers, None)
        return NODES if found or thawed.wait(30) else []

    head = Head(f"127.0.0.1:{listener.getsockname()[1]}", ask)
    until(lambda: not head.answers)
    until(lambda: gives_up(head))
    thawed.set()
    until(lambda: head.answers)
    head.close()


def test_a_question_that_fails_is_no_answer(quick: None, listener: socket.socket) -> None:
    answers = iter([NODES])

    def ask() -> list[Node]:
        for found in answers:
            return found
        raise ConnectionError("no answer")

    head = Head(f"127.0.0.1:{listener.getsockname()[1]}", ask)
    until(lambda: not head.answers)
    head.close()
