"""Followers of the feed miss nothing and are told nothing twice: connections that end at any place, and SIGKILL of the server in between.

`SINOGRAM_FEED_KILLS` is how often the whole server is killed, `SINOGRAM_KILL_SEED` repeats a run's random choices.
"""

import http.client
import os
import random
import threading
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from tests.dicom_bytes import dataset, encode
from tests.fault.servers import ServerUnderTest, server_in, wait_for

KILLS = int(os.environ.get("SINOGRAM_FEED_KILLS", "1"))
SEED = int(os.environ.get("SINOGRAM_KILL_SEED", str(random.SystemRandom().randrange(10**6))))
RECONNECTS = 50  # of all followers together, and …
OF_EACH = 10
INSTANCES = 40  # between two kills
QUIET_S = 0.1  # after which a follower hangs up
PAUSE_S = 0.02  # before a follower connects again


@dataclass(slots=True)
class Follower:
    """Follows the feed as docs/event-feed.md says, and hangs up by itself, in the midst of an event, too."""

    server: ServerUnderTest
    filters: str
    random: random.Random
    seen: list[int] = field(default_factory=list)
    position: int = 0
    hang_ups: int = 0
    ended: threading.Event = field(default_factory=threading.Event)
    error: Exception | None = None

    def run(self) -> None:
        try:
            while not self.ended.is_set():
                try:
                    with closing(self.server.connect_http()) as connection:
                        self._listen(connection)
                except TimeoutError:  # nothing came for a moment: another way to hang up
                    self.hang_ups += 1
                except (OSError, http.client.HTTPException):
                    pass
                self.ended.wait(PAUSE_S)
        except Exception as exc:  # noqa: BLE001 — told by the test
            self.error = exc

    def _listen(self, connection: http.client.HTTPConnection) -> None:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(self.position)}
        is_patient = self.hang_ups >= RECONNECTS
        connection.connect()
        connection.sock.settimeout(60.0 if is_patient else QUIET_S)
        connection.request("GET", f"/events?{self.filters}", headers=headers)
        answer = connection.getresponse()
        if answer.status == 503:  # it stops just now
            return
        assert answer.status == 200, answer.read()
        lines_left = 1 << 60 if is_patient else self.random.randrange(1, 40)
        name = identifier = ""
        while not self.ended.is_set() and (line := answer.readline().decode()):
            field_name, _, value = line.rstrip("\n").partition(": ")
            if field_name == "id":
                identifier = value
            elif field_name == "event":
                name = value
            elif not line.strip() and name:
                if name != "head":
                    self.seen.append(int(identifier))
                self.position = int(identifier)
                name = ""
            lines_left -= 1
            if not lines_left:
                self.hang_ups += 1
                return


def store(server: ServerUnderTest, numbers: range) -> None:
    """Store instances, each until it is acknowledged."""
    for number in numbers:
        file = encode(dataset(number // 10, 1, 1, number))

        def is_stored(file: bytes = file) -> bool:
            try:
                return server.request("POST", "/instances", file).status == 200
            except (OSError, http.client.HTTPException):
                return False

        wait_for(is_stored, f"instance {number} to be stored")


def test_followers_miss_nothing_and_are_told_nothing_twice(tmp_path: Path) -> None:
    print(f"SINOGRAM_KILL_SEED={SEED}")
    chance = random.Random(SEED)
    with server_in(tmp_path) as server:
        followers = [
            Follower(server, filters, random.Random(chance.random()))
            for filters in ("", "types=instance-stored", "levels=Patient,Study")
        ]
        threads = [threading.Thread(target=each.run) for each in followers]
        server.start()
        for thread in threads:
            thread.start()
        try:
            for number in range(KILLS):
                sender = threading.Thread(
                    target=store, args=(server, range(number * INSTANCES, (number + 1) * INSTANCES))
                )
                sender.start()
                before, count = server.get("/events/head")["Head"], chance.randrange(INSTANCES)
                wait_for(lambda count=count, before=before: _head(server) >= before + count, "some events")  # type: ignore[misc]
                killed = server.process
                server.kill_all()
                assert killed is not None
                server.restart_after(killed)
                sender.join()
            wait_for(
                lambda: min(counts := [each.hang_ups for each in followers]) >= OF_EACH and sum(counts) >= RECONNECTS,
                "followers to have come again so often",
            )
            head = _head(server)
            told = {each.filters: pages(server, each.filters, head) for each in followers}
            wait_for(lambda: all(each.error or each.position >= head for each in followers), "the last event")
        finally:
            for each in followers:
                each.ended.set()
            status = server.stop()  # which ends their streams
            for thread in threads:
                thread.join()
    assert (status, [each.error for each in followers]) == (0, [None] * len(followers))
    for each in followers:
        assert [seq for seq in each.seen if seq <= head] == told[each.filters], each.filters


def pages(server: ServerUnderTest, filters: str, head: int) -> list[int]:
    """Return the sequences of all events up to one."""
    found: list[int] = []
    since, is_done = 0, False
    while not is_done:
        page = server.get(f"/events?limit=1000&since={since}&to={head}&{filters}")
        found += [event["Seq"] for event in page["Events"]]
        since, is_done = page["Last"], page["Done"]
    return found


def _head(server: ServerUnderTest) -> int:
    try:
        head: int = server.get("/events/head")["Head"]
    except (OSError, http.client.HTTPException):
        return 0
    return head
