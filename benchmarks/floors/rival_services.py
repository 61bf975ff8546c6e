"""The rivals' processes, and asking them."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import faiss
import numpy as np

from benchmarks.contents.inside import Inside
from benchmarks.loads.targets import HttpTarget
from tashihiki_server.space.base import Vectors

HOST = "127.0.0.1"
FLAT, HNSW, NUMPY = "faiss-flat", "faiss-hnsw", "numpy"
NAMES = {
    FLAT: "FastAPI, torch, faiss (flat)",
    HNSW: "FastAPI, torch, faiss (HNSW)",
    NUMPY: "FastAPI, torch, all compared in numpy",
}
RECALL = 0.99
_START_SECONDS = 120.0


@dataclass(frozen=True)
class Rival:
    """A rival that answers.

    Attributes:
        port: that it listens on.
    """

    port: int
    _connections: list[http.client.HTTPConnection] = field(default_factory=list)

    def target(self, path: str, bodies: Sequence[bytes]) -> HttpTarget:
        """What load is put on."""
        return HttpTarget(HOST, self.port, path, bodies)

    def ask(self, path: str, body: bytes) -> list[str]:
        """The ids that it finds, best first, over one connection."""
        if not self._connections:
            self._connections.append(http.client.HTTPConnection(HOST, self.port))
        (connection,) = self._connections
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise RuntimeError(f"{path} answered {response.status}: {content[:200]!r}")
        return [identifier for identifier, _ in json.loads(content)]


def write_content(
    folder: Path, inside: Inside, names: Sequence[str], prototypes: Vectors, queries: Vectors
) -> str:
    """Writes what the rivals read.

    Args:
        folder: that is there.
        inside: items and their vectors.
        names: of attributes.
        prototypes: (n, d), theirs.
        queries: (q, d), for which the graph is to reach RECALL.

    Returns:
        How the graph is set, in words.
    """
    np.savez(
        folder / "content.npz",
        ids=np.array(inside.ids, dtype=str),
        vectors=inside.vectors,
        names=np.array(names, dtype=str),
        prototypes=prototypes,
    )
    flat = faiss.IndexFlatIP(inside.vectors.shape[1])
    flat.add(inside.vectors)
    faiss.write_index(flat, str(folder / f"{FLAT}.faiss"))
    graph = faiss.IndexHNSWFlat(inside.vectors.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = 200
    graph.add(inside.vectors)
    least = flat.search(queries, 10)[0][:, -1:]
    for effort in (16, 32, 64, 128, 256, 512, 1024, 2048):
        graph.hnsw.efSearch = effort
        recall = float((graph.search(queries, 10)[0] >= least - 1e-5).mean())
        if recall >= RECALL:
            break
    faiss.write_index(graph, str(folder / f"{HNSW}.faiss"))
    return f"efSearch {effort}, recall {recall:.3f}"


@contextmanager
def rivals(folder: Path) -> Iterator[dict[str, Rival]]:
    """All of them, by name, until the block ends."""
    with ExitStack() as stack:
        found = {NAMES[engine]: stack.enter_context(_running(folder, engine)) for engine in NAMES}
        yield found


@contextmanager
def _running(folder: Path, engine: str) -> Iterator[Rival]:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "benchmarks.floors.rival_fastapi",
        str(folder),
        engine,
        str(port),
    ]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    try:
        _wait(process, port)
        yield Rival(port)
    finally:
        process.terminate()
        process.wait()


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection((HOST, port), 1.0).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("a rival did not start") from None
            time.sleep(0.1)
