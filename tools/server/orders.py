"""The orders of a server's processes: their listening sockets, the memory that they share, their part of the work.

All of it belongs to the supervisor, so a process that replaces another one finds what that has left there.
"""

import os
from dataclasses import replace

from actors.services.scripts.board import Board, create_lua_board_fd, open_board
from actors.services.scripts.settings import LUA_FILTER, LUA_MAIN
from actors.wire.board import create_board_fd, create_memory
from api.dicom.places import Places, create_places_fd
from store.blobs.remembered import MEMORY_BYTES
from tools.configuration.lua import with_sources
from tools.server.children import INTERPRETERS
from tools.server.composition import ServerSettings
from tools.server.listening import listen
from tools.server.process import CORE, GATEWAY, WORKER, Order


class Orders:
    """Makes them; owns what they hand down."""

    def __init__(self, settings: ServerSettings) -> None:
        """Bind the ports. Raises CannotListen."""
        self._settings = settings
        self._http = listen(settings.http_addresses, settings.http_port) if settings.http_enabled else []
        self._dicom = listen(("",), settings.dicom_port) if settings.dicom_enabled else []
        self._boards: dict[str, int] = {}  # of the interpreters
        self._places_fd = create_places_fd(settings.gateways)  # of all gateways' associations
        self._places = Places(self._places_fd)
        processes = 1 + len(INTERPRETERS) + settings.gateways + len(settings.worker_slots())
        self._board_fd = create_board_fd(processes)  # of what they count
        self._files_fd = create_memory("files", MEMORY_BYTES)  # of what they know of files
        self._rows: dict[str, int] = {}  # of that board, by the name of a process

    def make_boards(self) -> dict[str, Board]:
        """Make the boards of those interpreters that there are to be."""
        lua = self._settings.lua
        roles = [role for role, is_there in ((LUA_FILTER, lua.has_filters), (LUA_MAIN, lua.has_main)) if is_there]
        self._boards = {role: create_lua_board_fd(role) for role in roles}
        return {role: open_board(fd) for role, fd in self._boards.items()}

    def core(self) -> Order:
        return self._give_row(Order(CORE, CORE, self._settings))

    def interpreters(self) -> list[Order]:
        settings = replace(self._settings, lua=with_sources(self._settings.lua))
        return [self._give_row(Order(role, role, settings, boards=self._boards)) for role in self._boards]

    def gateways(self) -> list[Order]:
        http = tuple(s.fileno() for s in self._http)
        dicom = tuple(s.fileno() for s in self._dicom)
        shared = {"http_fds": http, "dicom_fds": dicom, "boards": self._boards, "places_fd": self._places_fd}
        return [
            self._give_row(Order(GATEWAY, f"{GATEWAY}-{number + 1}", self._settings, number=number, **shared))  # type: ignore[arg-type]
            for number in range(self._settings.gateways)
        ]

    def workers(self) -> list[Order]:
        shares = self._settings.worker_slots()
        return [
            self._give_row(Order(WORKER, f"{WORKER}-{number}", self._settings, slots=slots, boards=self._boards))
            for number, slots in enumerate(shares, 1)
        ]

    def _give_row(self, order: Order) -> Order:
        order.board_fd, order.row = self._board_fd, self._rows.setdefault(order.name, len(self._rows))
        order.files_fd = self._files_fd
        return order

    def free_places(self, gateway: int) -> None:
        """The associations of a gateway that is gone are, too."""
        self._places.free(gateway)

    def close_boards(self) -> None:
        for fd in self._boards.values():
            os.close(fd)
        self._boards = {}

    def close(self) -> None:
        for listener in (*self._http, *self._dicom):
            listener.close()
