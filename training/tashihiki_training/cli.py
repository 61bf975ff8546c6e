"""`tashihiki train`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from tashihiki_training.settings import PRESETS


class PresetName(str, Enum):
    """What `--preset` takes."""

    default = "default"
    article = "article"


class PoolingName(str, Enum):
    """What `--pooling` takes."""

    stages = "stages"
    mean = "mean"
    median = "median"


def _default(setting: str) -> str:
    """A setting in the presets, those first that `--preset` need not name."""
    usual = getattr(PRESETS["default"], setting)
    others = {name: getattr(settings, setting) for name, settings in PRESETS.items()}
    return "; ".join(
        [str(usual), *(f"{name} {value}" for name, value in others.items() if value != usual)]
    )


app = typer.Typer(add_completion=False)
# Panels of the help.
PHOTOS = "Photos"
SETTINGS = "Training"
RUN = "Run"


@app.command(
    epilog="tashihiki train photos/labels.csv --out run\n\n"
    "tashihiki train photos/labels.csv --out run --facet colour --max-minutes 30"
)
def train(
    source: Annotated[Path, typer.Argument(help="Table, or folder of photos.")],
    out: Annotated[Path, typer.Option(help="Folder of this run.")],
    facet: Annotated[
        list[str] | None,
        typer.Option(rich_help_panel=PHOTOS, help="Facet to learn; repeat for more."),
    ] = None,
    top: Annotated[
        list[str] | None,
        typer.Option(
            rich_help_panel=PHOTOS,
            help="FACET=N: only photos with its N most frequent values; repeatable.",
        ),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=PHOTOS,
            help="File names, as in {person}.{expression:2}{shot}.{rest}.tiff",
        ),
    ] = None,
    alias: Annotated[
        list[str] | None,
        typer.Option(
            rich_help_panel=PHOTOS, help="facet:ALIAS=VALUE, a CSV file, or the preset jaffe."
        ),
    ] = None,
    path_column: Annotated[
        str | None,
        typer.Option(rich_help_panel=PHOTOS, help="Column of a table with the paths."),
    ] = None,
    id_column: Annotated[
        str | None,
        typer.Option(rich_help_panel=PHOTOS, help="Column of a table with the ids."),
    ] = None,
    image_root: Annotated[
        Path | None,
        typer.Option(rich_help_panel=PHOTOS, help="What a table's paths are relative to."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=3, rich_help_panel=PHOTOS, help="Learn from so many of the photos, drawn at random."
        ),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            rich_help_panel=SETTINGS,
            help="imagenet (downloaded), none, or a .pth or .safetensors file.",
        ),
    ] = "imagenet",
    preset: Annotated[
        PresetName, typer.Option(rich_help_panel=SETTINGS, help="How to train.")
    ] = PresetName.default,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=0,
            rich_help_panel=SETTINGS,
            help="At most so many; 0 exports the initial weights.",
            show_default=_default("epochs"),
        ),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(
            min=4,
            rich_help_panel=SETTINGS,
            help="Pictures per step.",
            show_default=_default("batch"),
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=32,
            max=512,
            rich_help_panel=SETTINGS,
            help="Edge of the encoder's input in pixels.",
            show_default=_default("size"),
        ),
    ] = None,
    pooling: Annotated[
        PoolingName | None,
        typer.Option(
            rich_help_panel=SETTINGS,
            help="stages: several and colour; mean, median: of the last map.",
            show_default=_default("pooling"),
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            rich_help_panel=SETTINGS,
            help="At its highest.",
            show_default=_default("learning_rate"),
        ),
    ] = None,
    triplet_weight: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            rich_help_panel=SETTINGS,
            help="Of the triplet loss.",
            show_default=_default("triplet_weight"),
        ),
    ] = None,
    composition: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            rich_help_panel=SETTINGS,
            help="Weight of the composition loss.",
            show_default=_default("composition"),
        ),
    ] = None,
    additive: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            rich_help_panel=SETTINGS,
            help="Weight of the additive loss.",
            show_default=_default("additive"),
        ),
    ] = None,
    combination_dropout: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=0.9,
            rich_help_panel=SETTINGS,
            help="Share of the combinations that is left out of each epoch.",
            show_default=_default("combination_dropout"),
        ),
    ] = None,
    freeze_stages: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=18,
            rich_help_panel=SETTINGS,
            help="So many of the 19 stages do not learn.",
            show_default=_default("freeze_stages"),
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            min=1,
            rich_help_panel=SETTINGS,
            help="End after so many epochs without a better validation score.",
            show_default=_default("patience"),
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, rich_help_panel=SETTINGS, help="Of everything random.")
    ] = 0,
    workers: Annotated[
        int, typer.Option(min=1, rich_help_panel=RUN, help="Threads that decode photos.")
    ] = 2,
    device: Annotated[str, typer.Option(rich_help_panel=RUN, help="auto, cpu or cuda.")] = "auto",
    max_minutes: Annotated[
        float | None,
        typer.Option(min=0.0, rich_help_panel=RUN, help="Begin no epoch after so long."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", rich_help_panel=RUN, help="Go on with the training in --out."),
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=RUN, help="The encoder's name.", show_default="the folder's of --out"
        ),
    ] = None,
) -> None:
    """Train an encoder so that embeddings of facets can be added, and export it."""
    # torch takes seconds to import; --help should not.
    from tashihiki_training.command import run_training
    from tashihiki_training.request import TrainingRequest

    overrides = {
        "size": size,
        "pooling": pooling.value if pooling else None,
        "epochs": epochs,
        "batch": batch,
        "learning_rate": learning_rate,
        "triplet_weight": triplet_weight,
        "composition": composition,
        "additive": additive,
        "combination_dropout": combination_dropout,
        "freeze_stages": freeze_stages,
        "patience": patience,
        "seed": seed,
    }
    run_training(
        TrainingRequest(
            source=source,
            out=out,
            facets=facet or [],
            top=top or [],
            pattern=pattern,
            aliases=alias or [],
            path_column=path_column,
            id_column=id_column,
            image_root=image_root,
            limit=limit,
            weights=weights,
            preset=preset.value,
            overrides={key: value for key, value in overrides.items() if value is not None},
            workers=workers,
            device=device,
            max_minutes=max_minutes,
            resume=resume,
            name=name,
        )
    )


command = typer.main.get_command(app)
