"""Requests to the core about the server as a whole."""

from typing import Literal

from actors.wire.bridge.language import Language, Request


class Control(Request, frozen=True):
    """End the server, or end and start it again. Replies at once, before it does."""

    word: Literal["shutdown", "reset"]


CONTROL = Language[Control]("control", Control)
