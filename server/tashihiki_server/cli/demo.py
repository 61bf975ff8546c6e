"""`tashihiki demo`: draw pictures for those who have none."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tashihiki_server.cli.progress import counting

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder to draw into.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Other seeds give other pictures.")] = 0,
    shots: Annotated[int, typer.Option(min=1, help="Of each person and expression.")] = 4,
    designs: Annotated[int, typer.Option(min=1, help="Of each product, colour, background.")] = 2,
) -> None:
    """Draw the demo: faces (person, expression) and items (product, colour, background).

    The folder then holds faces/, items/ and a labels.csv for each and for both together.
    """
    from tashihiki_server.demo.gallery import contact_sheet, draw_demo

    with counting("drawing") as progress:
        draw_demo(out, seed=seed, shots=shots, designs=designs, progress=progress)
    for gallery in ("faces", "items"):
        pictures = sorted(p for p in (out / gallery).iterdir() if p.suffix in (".tiff", ".jpg"))
        shown = random.Random(0).sample(pictures, min(96, len(pictures)))
        contact_sheet(sorted(shown), 12, 96).save(out / f"{gallery}.png")
    console = Console(markup=False)
    console.print(f"Drawn into {out}; look at {out / 'faces.png'} and {out / 'items.png'}.")


command = typer.main.get_command(app)
