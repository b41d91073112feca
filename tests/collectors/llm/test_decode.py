import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.llm.decode import decoder
from tests.collectors.llm.formats.reading import cut


def raw_deflate(data):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


ENCODERS = {"": bytes, "identity": bytes, "gzip": gzip.compress, "GZIP ": gzip.compress, "deflate": zlib.compress}


@given(st.binary(max_size=500), st.lists(st.integers(1, 9), min_size=1, max_size=5), st.sampled_from(sorted(ENCODERS)))
def test_round_trip_in_any_pieces(data, sizes, encoding):
    decode = decoder(encoding)
    assert b"".join(decode(piece) for piece in cut(ENCODERS[encoding](data), sizes)) == data


def test_deflate_without_its_header():
    assert decoder("deflate")(raw_deflate(b"hello" * 50)) == b"hello" * 50


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, br"])
def test_what_cannot_be_decoded(encoding):
    assert decoder(encoding) is None


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_what_is_not_encoded(encoding):
    with pytest.raises(zlib.error):
        decoder(encoding)(b"plain text")
