"""A batch job: many queries at once, but not too many; stopped and begun again, it goes on.

`python examples/batch_job.py localhost:50051 answers.jsonl` asks the demo for every person with
every expression and writes one line of JSON for each query. What is wrong with a query is a line
too; where that passes by itself, the next run asks again, and the last line of a query counts.
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
    DeadlineExceededError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
    SearchResult,
    TashihikiError,
    UnavailableError,
    attribute,
)

COLLECTION = "faces"
AT_ONCE = 8
# Seconds; then the job ends, to be begun again.
PAUSES = (2.0, 4.0, 8.0, 16.0)
# Errors of one query, which the others may do without, but for
OF_A_QUERY = (
    InvalidArgumentError,
    NotFoundError,
    FailedPreconditionError,
    DeadlineExceededError,
    InternalError,
)
# what is wrong with the collection: no query can be answered then.
OF_ALL = {"UNKNOWN_COLLECTION", "COLLECTION_DAMAGED", "CATALOGUE_DAMAGED", "CATALOGUE_UNREADABLE"}
PASSING = {"PROTOTYPE_PENDING", "FACET_PENDING", "DEADLINE_EXCEEDED"}


async def run(address: str, queries: Sequence[str], out: Path) -> int:
    """Answers the queries that the file does not answer yet.

    Args:
        address: the server's.
        queries: expressions.
        out: JSON Lines; a line is added for each query as soon as it is answered.

    Returns:
        How many this run wrote a line for.

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


async def ask(client: AsyncClient, query: str) -> SearchResult | TashihikiError:
    """The answer, or what is wrong with the query.

    The client repeats a call within its deadline by itself. A server that is busy or away for
    longer is asked again here, each time after a longer pause and no sooner than it wants.
    """
    for pause in PAUSES:
        try:
            return await ask_once(client, query)
        except (ResourceExhaustedError, UnavailableError) as error:
            if error.retry_delay is None and not isinstance(error, UnavailableError):
                raise
            await asyncio.sleep(max(pause, error.retry_delay or 0.0))
    return await ask_once(client, query)


async def ask_once(client: AsyncClient, query: str) -> SearchResult | TashihikiError:
    """The answer, or what is wrong with this query; raises what is wrong for all of them."""
    try:
        return await client.search(COLLECTION, query, limit=5)
    except OF_A_QUERY as error:
        if error.reason in OF_ALL:
            raise
        return error


def write(file: TextIO, query: str, answer: SearchResult | TashihikiError) -> None:
    """Adds a line, at once: it is what a job that is killed goes on from."""
    line: dict[str, Any] = {"query": query}
    if isinstance(answer, TashihikiError):
        line["error"] = {"reason": answer.reason, "message": answer.message}
    else:
        line["hits"] = [{"id": hit.id, "similarity": hit.similarity} for hit in answer]
    file.write(json.dumps(line, ensure_ascii=False) + "\n")
    file.flush()


def answered(out: Path) -> Iterator[str]:
    """The queries that need not be asked again; cuts off a last line that is not whole."""
    with suppress(FileNotFoundError), out.open("rb+") as file:
        end = 0
        for line in file:
            if not line.endswith(b"\n"):
                file.truncate(end)
                break
            end += len(line)
            answer = json.loads(line)
            if answer.get("error", {}).get("reason") not in PASSING:
                yield answer["query"]


async def every_combination(address: str) -> list[str]:
    """An expression for every person with every expression."""
    async with AsyncClient(address) as client:
        facets = {one.facet: one.values for one in await client.attributes(COLLECTION)}
    return [
        # As text, with quotes where a value needs them.
        repr(attribute("person", person.value) + attribute("expression", expression.value))
        for person in facets["person"]
        for expression in facets["expression"]
    ]


async def main(address: str = "localhost:50051", out: str = "answers.jsonl") -> None:
    queries = await every_combination(address)
    count = await run(address, queries, Path(out))
    print(f"{count} queries answered by this run, {len(queries)} in {out}")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
