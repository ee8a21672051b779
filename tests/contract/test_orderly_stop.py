"""SIGTERM and SIGINT while a server works: it ends with status 0 and one line that says so, and has nothing to complain of."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

