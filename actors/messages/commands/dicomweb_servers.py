"""Commands about DICOMweb servers: those about peers, of another kind."""

from actors.messages.commands.peers import ChangePeer, DropPeer, RemovePeer, StorePeer


class StoreDicomWebServer(StorePeer):
    """Add or replace a server in the log; it outlives the run."""

    __slots__ = ()


class RemoveDicomWebServer(RemovePeer):
    """Remove a server from the log. Replies whether there was one."""

    __slots__ = ()


class ChangeDicomWebServer(ChangePeer):
    """Add or replace a server until the next start."""

    __slots__ = ()


class DropDicomWebServer(DropPeer):
    """Have no such server until the next start; who sends it has looked whether there is one."""

    __slots__ = ()
