"""A head that falls silent: a socket on loopback that is closed."""

import socket
import time
from collections.abc import Callable, Iterator

import pytest

from sweep import head as module
from sweep.head import Head
from sweep.preflight import ClusterError, Node

NODES = [Node("a", "a", {"CPU": 1})]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(module, "SILENT_SECONDS", 0.2)
    monkeypatch.setattr(module, "LAST_SECONDS", 0.5)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def head(quick: None, listener: socket.socket, said: list[str]) -> Iterator[Head]:
    asked = Head(f"127.0.0.1:{listener.getsockname()[1]}", lambda: NODES, said.append)
    yield asked
    asked.close()


def until(what: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def test_a_head_that_is_there_tells_of_its_nodes(head: Head, said: list[str]) -> None:
    assert head.answers
    assert head.nodes() == NODES
    assert said == []


def test_while_a_head_is_silent_its_nodes_are_those_that_were_and_then_it_is_given_up(
    head: Head, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(head, "_ask", lambda: pytest.fail("a silent head is not asked"))
    listener.close()
    until(lambda: not head.answers)
    until(lambda: _gives_up(head))
    with pytest.raises(ClusterError, match=r"has not answered for .*run the same command"):
        head.nodes()


def _gives_up(head: Head) -> bool:
    try:
        assert head.nodes() == NODES
    except ClusterError:
        return True
    return False


def test_a_head_that_comes_back_is_asked_again(
    head: Head, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SILENT_SECONDS", 30.0)
    place = listener.getsockname()
    listener.close()
    until(lambda: not head.answers)
    with socket.create_server(place):
        until(lambda: head.answers)
        more = [*NODES, Node("b", "b", {"CPU": 1})]
        monkeypatch.setattr(head, "_ask", lambda: more)
        assert head.nodes() == more


def test_who_still_waits_for_a_silent_head_is_told_before_ray_ends_him(
    head: Head, listener: socket.socket, said: list[str]
) -> None:
    listener.close()
    until(lambda: said)
    assert "has not answered for" in said[0]
