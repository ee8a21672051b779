"""The commands about remotes of each kind, under one name each: those about modalities stand in `server`, those about peers and DICOMweb servers in modules of their names."""

from typing import Final, NamedTuple

from actors.messages.commands import dicomweb_servers, peers, server


class RemoteCommands(NamedTuple):
    """Of one kind. What is stored outlives the run, what is changed holds until the next start."""

    store: type[server.StoreModality] | type[peers.StorePeer]
    remove: type[server.RemoveModality] | type[peers.RemovePeer]
    change: type[server.ChangeModality] | type[peers.ChangePeer]
    drop: type[server.DropModality] | type[peers.DropPeer]


OF_MODALITIES: Final = RemoteCommands(
    server.StoreModality, server.RemoveModality, server.ChangeModality, server.DropModality
)
OF_PEERS: Final = RemoteCommands(peers.StorePeer, peers.RemovePeer, peers.ChangePeer, peers.DropPeer)
OF_DICOMWEB_SERVERS: Final = RemoteCommands(
    dicomweb_servers.StoreDicomWebServer,
    dicomweb_servers.RemoveDicomWebServer,
    dicomweb_servers.ChangeDicomWebServer,
    dicomweb_servers.DropDicomWebServer,
)
