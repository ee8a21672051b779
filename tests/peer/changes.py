"""`/changes` of two servers made comparable: sequence numbers become places in the server's own list of changes."""

from dataclasses import dataclass
from typing import Any

from tests.peer.comparison import Difference, walk
from tests.peer.exchange import Answer, Request, Server


@dataclass(frozen=True, slots=True)
class ChangeLog:
    """All changes of one server at one moment."""

    server: Server
    changes: list[dict[str, Any]]  # as JSON has them

    @classmethod
    def of(cls, server: Server) -> "ChangeLog":
        page = server.get_json("/changes?limit=100000")
        assert isinstance(page, dict)
        assert page["Done"] is True
        return cls(server, page["Changes"])

    def seq(self, place: int) -> int:
        """The sequence number of the change at a place counted from 1; 0 stands before the first."""
        if place <= 0:
            return place
        return int(self.changes[place - 1]["Seq"]) if place <= len(self.changes) else self.last() + place

    def last(self) -> int:
        return int(self.changes[-1]["Seq"]) if self.changes else 0

    def rows(self) -> list[tuple[str, str, str, str]]:
        """What happened, in order, without numbers and dates."""
        return [(each["ChangeType"], each["ResourceType"], each["ID"], each["Path"]) for each in self.changes]

    def page(self, query: str) -> object:
        """The answer to a query in which `@n` stands for the sequence number of change n, with places for numbers."""
        for place in range(len(self.changes) + 50, -1, -1):
            query = query.replace(f"@{place}", str(self.seq(place))) if f"@{place}" in query else query
        answer = self.server.ask(Request(f"/changes{query}"))
        return self._with_places(answer)

    def _with_places(self, answer: Answer) -> object:
        if answer.status != 200:
            return answer.status, answer.body
        page = answer.json()
        assert isinstance(page, dict)
        places = {int(each["Seq"]): place for place, each in enumerate(self.changes, start=1)} | {0: 0}
        for each in page["Changes"]:
            each["Seq"] = places[each["Seq"]]
            each["Date"] = len(each["Date"])
        return {key: places.get(value, value) if key in {"First", "Last"} else value for key, value in page.items()}


def page_differences(ours: ChangeLog, theirs: ChangeLog, queries: tuple[str, ...]) -> list[Difference]:
    """Where the pages of two servers with the same history part."""
    return [
        Difference(Request(f"/changes{query}"), f"body{path}", mine, right)
        for query in queries
        for path, mine, right in walk(ours.page(query), theirs.page(query))
    ]
