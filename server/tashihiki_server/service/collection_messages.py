"""Collections as messages."""

from __future__ import annotations

from tashihiki.errors import TashihikiError
from tashihiki.v1 import catalog_pb2
from tashihiki_server.collection.collection import Collection
from tashihiki_server.collection.encoder_progress import EncoderProgress
from tashihiki_server.service.creation import SPACES
from tashihiki_server.service.messages import timestamp

_SPACE_KINDS = {name: kind for kind, name in SPACES.items()}


def collection_message(collection: Collection) -> catalog_pb2.Collection:
    """A collection and its figures."""
    settings = collection.settings
    return catalog_pb2.Collection(
        name=settings.name,
        encoder=settings.encoder,
        space=catalog_pb2.Space(
            kind=_SPACE_KINDS[settings.space], keep_negative=settings.keep_negative
        ),
        aliases=[
            catalog_pb2.Alias(facet=alias.facet, alias=alias.alias, value=alias.value)
            for alias in settings.aliases
        ],
        dimension=collection.encoder.manifest.dimension,
        item_count=len(collection),
        generation=collection.state.generation,
        create_time=timestamp(settings.create_time),
        stale_prototype_count=collection.stale_prototypes,
        space_in_force=_SPACE_KINDS[collection.state.space.kind],
        space_pending=collection.space_pending,
        target_recall=settings.target_recall,
        encoder_change=_change_message(collection.encoder_progress),
        previous_encoder=settings.previous_encoder,
    )


def _change_message(progress: EncoderProgress | None) -> catalog_pb2.EncoderChange | None:
    if progress is None:
        return None
    return catalog_pb2.EncoderChange(
        encoder=progress.encoder,
        done_count=progress.done,
        total_count=progress.total,
        fault=progress.fault,
    )


def faulty_message(name: str, fault: TashihikiError) -> catalog_pb2.Collection:
    """A collection that cannot be used."""
    return catalog_pb2.Collection(name=name, fault=str(fault))


def diagnostics_message(collection: Collection) -> catalog_pb2.SpaceDiagnostics | None:
    """How well a factored space fits; None for the sum."""
    fit = collection.diagnostics
    if fit is None:
        return None
    name = collection.vocabulary.facet_name
    return catalog_pb2.SpaceDiagnostics(
        facets=[
            catalog_pb2.FacetDiagnostics(
                facet=name(facet.facet), variance_share=facet.variance_share, dimension=facet.rank
            )
            for facet in fit.facets
        ],
        interaction_share=fit.interaction_share,
        residual_share=fit.residual_share,
        additive_r2=fit.additive_r2,
        angles=[
            catalog_pb2.FacetAngle(
                facet=name(angle.first), other=name(angle.second), degrees=angle.degrees
            )
            for angle in fit.angles
        ],
        shrinkage=fit.shrinkage,
        fitted_item_count=fit.items,
        fitted_combination_count=fit.combinations,
        rest_dimension=fit.rest_rank,
        held_out_accuracy=fit.score,
    )
