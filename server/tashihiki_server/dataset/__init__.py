"""Labelled photos: a table, a folder with speaking file names, or one folder per class."""

from tashihiki_server.dataset.aliases import Aliases, parse_aliases
from tashihiki_server.dataset.failure import none_readable
from tashihiki_server.dataset.folders import read_folders
from tashihiki_server.dataset.pattern import read_pattern
from tashihiki_server.dataset.photo import Dataset, Photo, Skipped
from tashihiki_server.dataset.source import read_dataset
from tashihiki_server.dataset.table import read_table

__all__ = [
    "Aliases",
    "Dataset",
    "Photo",
    "Skipped",
    "none_readable",
    "parse_aliases",
    "read_dataset",
    "read_folders",
    "read_pattern",
    "read_table",
]
