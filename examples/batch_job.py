"""A batch job: many queries at once, but not too many; stopped and begun again, it goes on.

`python examples/batch_job.py localhost:50051 answers.jsonl` asks the demo for every person with
every expression and writes one line of JSON for each query.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from rich.progress import Progress

from tashihiki import (
    AsyncClient,
    InvalidArgumentError,
    ResourceExhaustedError,
    SearchResult,
    UnavailableError,
)

COLLECTION = "faces"
AT_ONCE = 8
# Seconds; then the job ends, to be begun again.
PAUSES = (2.0, 4.0, 8.0, 16.0)


async def run(address: str, queries: Sequence[str], out: Path) -> int:
    """Answers the queries that the file does not answer yet.

    Args:
        address: the server's.
        queries: expressions.
        out: JSON Lines; a line is added for each query as soon as it is answered.

    Returns:
        How many were answered by this run.

    Raises:
        TashihikiError: no query can be answered, as when the server stays away.
    """
    done = set(answered(out))
    waiting = iter([query for query in queries if query not in done])
    total = len(queries)
    with Progress() as progress, out.open("a", encoding="utf-8") as file:
        task = progress.add_task("searching", total=total, completed=len(done & set(queries)))
        async with AsyncClient(address) as client:

            async def work() -> int:
                count = 0
                for query in waiting:
                    write(file, query, await ask(client, query))
                    progress.advance(task)
                    count += 1
                return count

            return sum(await asyncio.gather(*(work() for _ in range(AT_ONCE))))


async def ask(client: AsyncClient, query: str) -> SearchResult | InvalidArgumentError:
    """The answer, or what is wrong with the query.

    The client repeats a call within its deadline by itself. A server that is busy or away for
    longer is asked again here, each time after a longer pause and no sooner than it wants.
    """
    for pause in PAUSES:
        try:
            return await client.search(COLLECTION, query, limit=5)
        except InvalidArgumentError as error:
            return error
        except (ResourceExhaustedError, UnavailableError) as error:
            if error.retry_delay is None and not isinstance(error, UnavailableError):
                raise
            await asyncio.sleep(max(pause, error.retry_delay or 0.0))
    return await client.search(COLLECTION, query, limit=5)


def write(file: TextIO, query: str, answer: SearchResult | InvalidArgumentError) -> None:
    """Adds a line, at once: it is what a job that is killed goes on from."""
    line: dict[str, Any] = {"query": query}
    if isinstance(answer, InvalidArgumentError):
        line["error"] = {"reason": answer.reason, "message": answer.message}
    else:
        line["hits"] = [{"id": hit.id, "similarity": hit.similarity} for hit in answer]
    file.write(json.dumps(line, ensure_ascii=False) + "\n")
    file.flush()


def answered(out: Path) -> Iterator[str]:
    """The queries that the file has an answer for; cuts off a last line that is not whole."""
    with suppress(FileNotFoundError), out.open("rb+") as file:
        end = 0
        for line in file:
            if not line.endswith(b"\n"):
                file.truncate(end)
                break
            end += len(line)
            yield json.loads(line)["query"]


async def every_combination(address: str) -> list[str]:
    """An expression for every person with every expression."""
    async with AsyncClient(address) as client:
        facets = {one.facet: one.values for one in await client.attributes(COLLECTION)}
    return [
        f"person:{person.value} + expression:{expression.value}"
        for person in facets["person"]
        for expression in facets["expression"]
    ]


async def main(address: str = "localhost:50051", out: str = "answers.jsonl") -> None:
    queries = await every_combination(address)
    count = await run(address, queries, Path(out))
    print(f"{count} queries answered by this run, {len(queries)} in {out}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
