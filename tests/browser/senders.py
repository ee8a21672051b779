"""`python -m tests.browser.senders PORT COUNT`: modalities that store all the time, each the next instance once the last is acknowledged.

They are threads of one process that sends what it made beforehand, an MR image of 170 kB of which only the identifiers change: 0.15 ms of
processor time an instance, so what is measured beside it is the server's load. SIGTERM ends it; then it says what it has stored.
"""

import signal
import sys
import threading
import time

from tools.bench.cstore_load import Association, parse_file
from tools.bench.samples import Samples, make_uid

INSTANCES_PER_SERIES, SERIES_PER_STUDY = 25, 4


class _Sender:
    """One association. Identifiers are replaced where they stand in the messages of the first instance."""

    def __init__(self, port: int, number: int) -> None:
        self.stored = 0
        self._seed = time.time_ns() // 1_000_000 % 10**8 * 100 + number
        file = parse_file(Samples(self._seed).take(1)[0])
        self._association = Association("127.0.0.1", port, "PEER", [(file.sop_class, file.transfer_syntax)])
        self._message = bytearray(self._association.encode(file, 1))
        self._places = {kind: self._find(make_uid(kind, self._seed, 0).encode()) for kind in (1, 2, 3)}

    def run(self, ends: threading.Event) -> None:
        while not ends.is_set():
            series = self.stored // INSTANCES_PER_SERIES
            for kind, number in ((1, series // SERIES_PER_STUDY), (2, series), (3, self.stored)):
                uid = make_uid(kind, self._seed, number).encode()
                for place in self._places[kind]:
                    self._message[place : place + len(uid)] = uid
            self._association.store(self._message)
            self.stored += 1
        self._association.release()

    def _find(self, uid: bytes) -> list[int]:
        places = [self._message.find(uid)]
        while places[-1] >= 0:
            places.append(self._message.find(uid, places[-1] + 1))
        return places[:-1]


def main(port: int, count: int) -> None:
    ends = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ends.set())
    senders = [_Sender(port, number) for number in range(count)]
    threads = [threading.Thread(target=sender.run, args=(ends,)) for sender in senders]
    began_s = time.monotonic()
    for thread in threads:
        thread.start()
    print("sending", flush=True)
    for thread in threads:
        thread.join()
    passed_s, stored = time.monotonic() - began_s, sum(sender.stored for sender in senders)
    assert all(sender.stored for sender in senders)
    print(
        f"{stored / passed_s:.0f} instances/s, {1000 * time.process_time() / stored:.2f} ms of processor time each to send",
        flush=True,
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
