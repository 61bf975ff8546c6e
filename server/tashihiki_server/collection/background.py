"""Work that must not keep a caller waiting."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor


class Background:
    """One thread for prototypes and one that waits for index builds, shared by collections."""

    def __init__(self) -> None:
        self.prototypes = ThreadPoolExecutor(1, thread_name_prefix="prototypes")
        self.builds = ThreadPoolExecutor(1, thread_name_prefix="builds")

    def close(self) -> None:
        """Ends after the work under way; what waits is dropped."""
        self.prototypes.shutdown(cancel_futures=True)
        self.builds.shutdown(cancel_futures=True)
