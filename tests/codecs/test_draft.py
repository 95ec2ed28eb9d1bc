"""`draft()`: another effort of the encoder, never another codec, quality or format."""

import numpy as np
import pytest

from tamis.codecs import Codec, Image, bpp, get_codec
from tamis.codecs.bpg import Bpg
from tamis.codecs.jpeg import Jpeg
from tamis.codecs.registry import CODECS

SPECS = [*CODECS, "jpeg:subsampling=444", "bpg:chroma=444", "bpg:preset=fast"]


@pytest.fixture(params=SPECS)
def codec(request: pytest.FixtureRequest) -> Codec:
    return get_codec(request.param)


def test_a_draft_has_the_name_and_the_quality_scale_of_its_codec(codec: Codec) -> None:
    draft = codec.draft()
    assert draft.name == codec.name
    assert type(draft).quality == type(codec).quality
    assert draft.suffix == codec.suffix
    for quality in codec.quality.ladder:
        assert draft.step(quality) == codec.step(quality)


def test_a_draft_of_a_draft_is_the_draft(codec: Codec) -> None:
    assert codec.draft().draft() == codec.draft()


def test_a_draft_keeps_the_chroma_format(codec: Codec) -> None:
    for option in ("subsampling", "chroma"):
        assert getattr(codec.draft(), option, None) == getattr(codec, option, None)


@pytest.mark.parametrize("name", ["jpeg", "bpg", "vvc"])
def test_a_drafts_file_is_one_of_the_codecs_near_its_rate_and_fidelity(
    name: str, named_photos: dict[str, Image]
) -> None:
    codec, crop = get_codec(name), named_photos["cat"][60:252, 80:272]
    # A lesser effort at the same setting: no more than the next step of the ladder away.
    draft = codec.draft()
    assert draft != codec
    files = [made.encode(crop) for made in (codec, draft)]
    pictures = [codec.decode(file) for file in files]
    errors = [np.square(picture.astype(float) - crop).mean() for picture in pictures]
    assert bpp(files[1], crop) == pytest.approx(bpp(files[0], crop), rel=0.35)
    assert errors[1] == pytest.approx(errors[0], rel=0.3)


def test_an_effort_that_was_chosen_low_stays_low() -> None:
    assert Bpg(preset="fast").draft() == Bpg(preset="fast")
    assert Jpeg(progressive=False).draft() == Jpeg(progressive=False)
