"""What drives `orthanc-api-client`: its classes, with note taken of the methods that were called."""

import functools
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from orthanc_api_client import HttpClient, InstancesSet, Job, OrthancApiClient
from orthanc_api_client.dicomweb_servers import DicomWebServers
from orthanc_api_client.modalities import DicomModalities
from orthanc_api_client.peers import Peers
from orthanc_api_client.resources import Instances, Jobs, Patients, SeriesList, Studies

DRIVEN = (
    Patients,
    Studies,
    SeriesList,
    Instances,
    Jobs,
    DicomModalities,
    Peers,
    DicomWebServers,
    Job,
    InstancesSet,
    OrthancApiClient,
)
CALLED: set[str] = set()  # "Class.method" of all that a test has called, by the class that defines it


def methods() -> Iterator[tuple[type, str, Any]]:
    for kind in DRIVEN:
        for name, function in inspect.getmembers(kind, inspect.isfunction):
            if not name.startswith("_") and not hasattr(HttpClient, name):  # what all others are built on
                yield kind, name, function


METHODS = [function for _, _, function in methods()]  # before they are wrapped


def noted(function: Any) -> Any:
    @functools.wraps(function)
    def call(*args: Any, **named: Any) -> Any:
        CALLED.add(function.__qualname__)
        return function(*args, **named)

    return call


@contextmanager
def noting() -> Iterator[None]:
    """Methods that are called within are noted in `CALLED`."""
    with pytest.MonkeyPatch.context() as patches:
        for kind, name, function in methods():
            is_static = isinstance(inspect.getattr_static(kind, name), staticmethod)
            patches.setattr(kind, name, staticmethod(noted(function)) if is_static else noted(function))
        yield
