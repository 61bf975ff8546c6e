"""The factored space: how it is fitted, kept and used."""

from tashihiki_server.space.factored.artefact import DamagedSpaceError, read_fit, write_fit
from tashihiki_server.space.factored.diagnostics import Diagnostics, FacetAngle, FacetDiagnostics
from tashihiki_server.space.factored.fit import FactoredFit, fit_factored
from tashihiki_server.space.factored.settings import MISSING, FitSettings
from tashihiki_server.space.factored.space import FactoredSpace

__all__ = [
    "MISSING",
    "DamagedSpaceError",
    "Diagnostics",
    "FacetAngle",
    "FacetDiagnostics",
    "FactoredFit",
    "FactoredSpace",
    "FitSettings",
    "fit_factored",
    "read_fit",
    "write_fit",
]
