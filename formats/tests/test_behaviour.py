"""Every extractor that is registered has the behaviour of the port."""

import pytest
from formats.tests.samples import SAMPLES

from nexuslims_formats import read
from nexuslims_formats.registry import installed
from nexuslims_formats.testing import ExtractorBehaviour

OURS = {one.name: one for one in installed() if type(one).__module__.startswith("nexuslims_")}


def test_there_is_a_sample_for_every_extractor():
    assert set(SAMPLES) == set(OURS)


@pytest.fixture(params=sorted(OURS))
def name(request):
    return request.param


class TestEveryExtractor(ExtractorBehaviour):
    @pytest.fixture
    def extractor(self, name):
        return OURS[name]

    @pytest.fixture
    def sample(self, tmp_path, name):
        return SAMPLES[name](tmp_path)

    def test_the_registry_chooses_it(self, name, sample):
        found = read(sample)
        outcome = "unsupported" if name == "fallback" else "extracted"
        assert (found.outcome, found.extractor.name) == (outcome, name), found.reason
        assert found.datasets
