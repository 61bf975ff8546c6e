"""A plain rival: FastAPI, torch, and faiss or a comparison of everything in numpy.

`python -m benchmarks.floors.rival_fastapi FOLDER ENGINE PORT`: ENGINE names an index file of the
folder, or is `numpy`.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import faiss
import numpy as np
import torch
import uvicorn
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from numpy.typing import NDArray
from PIL import Image

from shipped_network import shipped_network

app = FastAPI()


@app.post("/text")
def text(names: list[str]) -> list[tuple[str, float]]:
    """The items nearest to the sum of the named prototypes."""
    return nearest(np.sum([prototypes[name] for name in names], axis=0))


@app.post("/image")
async def image(request: Request) -> list[tuple[str, float]]:
    """The items nearest to a picture, which is the body."""
    return await run_in_threadpool(lambda body: nearest(embed(body)), await request.body())


def embed(body: bytes) -> NDArray[np.float32]:
    """The embedding (d,) of an encoded picture."""
    picture = Image.open(io.BytesIO(body)).convert("RGB")
    pixels = np.array(picture.resize((224, 224), Image.Resampling.BILINEAR))
    with torch.inference_mode():
        return np.asarray(network(torch.from_numpy(pixels)[None])[0])


def nearest(query: NDArray[np.float32]) -> list[tuple[str, float]]:
    """Ten items and their cosines."""
    query = (query / np.linalg.norm(query)).astype(np.float32)
    if index is None:
        scores = vectors @ query
        rows = np.argpartition(-scores, 10)[:10]
        rows = rows[np.argsort(-scores[rows])]
        return [(str(ids[row]), float(scores[row])) for row in rows]
    scores, rows = index.search(query[None], 10)
    return [(str(ids[row]), float(score)) for row, score in zip(rows[0], scores[0], strict=True)]


if __name__ == "__main__":
    folder, engine, port = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    content = np.load(folder / "content.npz")
    ids, network = content["ids"], shipped_network()
    prototypes = dict(zip(content["names"].tolist(), content["prototypes"], strict=True))
    index = None if engine == "numpy" else faiss.read_index(str(folder / f"{engine}.faiss"))
    vectors = content["vectors"] if index is None else np.empty(0, np.float32)
    # Its clients pause while the other rivals have their turns.
    uvicorn.run(app, port=port, log_level="warning", timeout_keep_alive=3600)
