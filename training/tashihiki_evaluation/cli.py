"""`tashihiki evaluate`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from tashihiki.errors import InvalidArgumentError
from tashihiki_training.cli import PHOTOS, PresetName
from tashihiki_training.settings import PRESETS

app = typer.Typer(add_completion=False)
# Panels of the help.
MEASURING = "What is measured"
TRAINING = "Training for each split"


@app.command(epilog="tashihiki evaluate photos/labels.csv --out report")
def evaluate(
    source: Annotated[Path, typer.Argument(help="Table, or folder of photos.")],
    out: Annotated[Path, typer.Option(help="Folder of the report.")],
    facet: Annotated[
        list[str] | None,
        typer.Option(
            rich_help_panel=PHOTOS,
            help="Facet to ask for; repeat for more.",
            show_default="all with two values",
        ),
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
        str | None, typer.Option(rich_help_panel=PHOTOS, help="Column of a table with the paths.")
    ] = None,
    id_column: Annotated[
        str | None, typer.Option(rich_help_panel=PHOTOS, help="Column of a table with the ids.")
    ] = None,
    image_root: Annotated[
        Path | None,
        typer.Option(rich_help_panel=PHOTOS, help="What a table's paths are relative to."),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=MEASURING,
            help="Encoder bundle, run folder, or name in --data.",
            show_default="the one shipped",
        ),
    ] = None,
    data: Annotated[
        Path,
        typer.Option(
            rich_help_panel=MEASURING, help="Data folder of a server.", envvar="TASHIHIKI_DATA"
        ),
    ] = Path("data"),
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            rich_help_panel=MEASURING, help="P0 to P5; repeatable.", show_default="all that apply"
        ),
    ] = None,
    train: Annotated[
        bool,
        typer.Option(
            "--train",
            rich_help_panel=TRAINING,
            help="Train an encoder for each split, on what it is fitted on alone.",
        ),
    ] = False,
    preset: Annotated[
        PresetName | None,
        typer.Option(rich_help_panel=TRAINING, help="How to train.", show_default="default"),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            min=0, rich_help_panel=TRAINING, help="Train at most so many.", show_default="preset"
        ),
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(
            min=32,
            max=512,
            rich_help_panel=TRAINING,
            help="Edge of the trained encoders' input in pixels.",
            show_default="preset",
        ),
    ] = None,
    weights: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=TRAINING,
            help="What training starts from; see train.",
            show_default="imagenet",
        ),
    ] = None,
    identity: Annotated[
        str | None,
        typer.Option(
            rich_help_panel=MEASURING,
            help="Facet whose values are new in P3.",
            show_default="the one with the most values",
        ),
    ] = None,
    folds: Annotated[
        int,
        typer.Option(
            min=2, rich_help_panel=MEASURING, help="Parts that combinations are held out in."
        ),
    ] = 4,
    seed: Annotated[
        int, typer.Option(min=0, rich_help_panel=MEASURING, help="Of everything random.")
    ] = 0,
    workers: Annotated[
        int, typer.Option(min=1, rich_help_panel=MEASURING, help="Threads that embed photos.")
    ] = 2,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report as JSON on standard output.")
    ] = False,
) -> None:
    """Measure composed queries on labelled photos and write a report."""
    # matplotlib and OpenVINO take seconds to import; --help should not.
    from tashihiki_evaluation.command import run_evaluation
    from tashihiki_evaluation.request import EvaluationRequest, Recipe

    overrides = {"epochs": epochs, "size": size}
    given: dict[str, Any] = {name: value for name, value in overrides.items() if value is not None}
    options = {**given, "preset": preset, "weights": weights}
    _check(train, encoder, [name for name, value in options.items() if value is not None])
    settings = replace(PRESETS[(preset or PresetName.default).value], seed=seed, **given)
    report = run_evaluation(
        EvaluationRequest(
            source=source,
            out=out,
            facets=facet or [],
            top=top or [],
            pattern=pattern,
            aliases=alias or [],
            path_column=path_column,
            id_column=id_column,
            image_root=image_root,
            encoder=encoder,
            data=data,
            protocols=protocol or [],
            identity=identity,
            folds=folds,
            seed=seed,
            workers=workers,
            recipe=Recipe(settings, weights or "imagenet") if train else None,
        )
    )
    if as_json:
        typer.echo(json.dumps(report, ensure_ascii=False))


def _check(train: bool, encoder: str | None, training: list[str]) -> None:
    """Refuses options that do not go together.

    Raises:
        InvalidArgumentError: SETTING_INVALID.
    """
    if train and encoder is not None:
        raise InvalidArgumentError(
            "--train trains encoders of its own, so there is no use for another",
            reason="SETTING_INVALID",
            field="encoder",
            remedy="Leave out --encoder or --train.",
        )
    if training and not train:
        raise InvalidArgumentError(
            f"--{training[0]} is about training",
            reason="SETTING_INVALID",
            field=training[0],
            remedy="Add --train.",
        )


command = typer.main.get_command(app)
