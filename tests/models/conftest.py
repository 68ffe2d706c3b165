"""Seeded tests over tiny speech models."""

from functools import cache

import pytest
import torch

from tests.models.speech_models import save_tiny


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """folder(family, make): where a tiny model of that kind is saved."""

    @cache
    def save(family="wav2vec2", make="like_xls_r"):
        return save_tiny(tmp_path_factory.mktemp(f"{family}_{make}"), family, make)

    return save


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)
