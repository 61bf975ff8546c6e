"""A server for the tests of programs that call Tashihiki: in memory, started in milliseconds.

    from tashihiki import Client, Item
    from tashihiki.testing import FakeServer

    with FakeServer() as server, Client(server.address) as client:
        server.load("faces", [Item("kr_1", attributes={"person": "KR", "mood": "HAPPY"})])
        assert client.search("faces", "KR + HAPPY")[0].id == "kr_1"

It needs `tashihiki[testing]`. docs/testing.md says what it does as the real server does, and what
it refuses.
"""

from tashihiki.testing.requests import Received
from tashihiki.testing.server import FakeServer

__all__ = ["FakeServer", "Received"]
