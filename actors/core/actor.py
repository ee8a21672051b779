"""Common code of the core's pykka actors: how they are started, told, asked and stopped."""

import contextlib
from typing import Any, Final, Generic, TypeVar

import pykka

M = TypeVar("M")

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 20.0


class Ping:
    """Is answered by an actor that runs."""


class CoreActor(pykka.ThreadingActor):
    """Base of the core's actors."""

    use_daemon_thread = True

    def on_receive(self, message: Any) -> Any:
        return None if isinstance(message, Ping) else self.on_message(message)

    def on_message(self, message: Any) -> Any:
        raise NotImplementedError


class Mailbox(Generic[M]):
    """The typed proxy of an actor that takes messages `M`."""

    def __init__(self, actor: pykka.ActorRef[Any]) -> None:
        self._ref = actor

    def tell(self, message: M) -> None:
        tell(self._ref, message)

    def ask(self, message: M) -> Any:
        return self._ref.ask(message)

    def is_alive(self) -> bool:
        return self._ref.is_alive()

    def stop(self) -> None:
        """Finish the waiting messages, then end the actor's thread."""
        self._ref.stop(timeout=STOP_TIMEOUT_S)


def start(actor: type[CoreActor], *arguments: Any, **options: Any) -> Mailbox[Any]:
    """Start an actor, and wait until it runs: pykka's `start` returns even if `on_start` has raised."""
    ref = actor.start(*arguments, **options)
    ref.ask(Ping(), timeout=START_TIMEOUT_S)
    return Mailbox(ref)


def tell(actor: pykka.ActorRef[Any], message: object) -> None:
    """Tell an actor something; without effect if it has ended: the index and the alarms outlive the actors they tell."""
    with contextlib.suppress(pykka.ActorDeadError):
        actor.tell(message)
