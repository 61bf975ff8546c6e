"""What the fake does not do, said rather than done wrong."""

from __future__ import annotations

import grpc

from tashihiki.errors import UnknownError


class NotInFakeError(UnknownError):
    """UNIMPLEMENTED, reason NOT_IN_FAKE."""

    code = grpc.StatusCode.UNIMPLEMENTED

    def __init__(self, what: str, *, field: str = "") -> None:
        super().__init__(
            f"the fake server does not know {what}",
            reason="NOT_IN_FAKE",
            field=field,
            remedy="Leave it out of this test, or run the test against a real server.",
        )
