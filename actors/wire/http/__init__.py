"""The HTTP of this server as a client: the connection, its settings, an Orthanc peer."""
