"""Attention of speech models in training: what a GPU's flash kernel asks for, on tensors of a GPU that is not there."""

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses import fake_tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from models._ssl_weights import XLS_R_300M_CONFIG
from models.Wav2Vec2AASIST import MainModel
from tests.engine.test_fake_cuda import onto_fake_cuda


@pytest.mark.parametrize(
    ("family", "options"), [("wav2vec2", {}), ("wav2vec2", {"freeze_ssl": True}), ("hubert", {"ssl_mask": 0.5})]
)
def test_the_flash_kernel_gets_half_precision_and_no_mask(monkeypatch, folder, family, options):
    monkeypatch.setattr(torch.cuda.amp.common, "amp_definitely_not_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(fake_tensor, "init_gpu_context", lambda *_: None, raising=False)
    seen = []

    def flash(q, k, v, attn_mask=None, dropout_p=0.0, scale=None, is_causal=False, **_):
        assert attn_mask is None and not is_causal
        assert {tensor.dtype for tensor in (q, k, v)} == {torch.bfloat16} and q.is_cuda
        assert all(tensor.dim() == 4 and tensor.stride(-1) == 1 for tensor in (q, k, v))
        seen.append(q.shape)
        return torch.ops.aten._scaled_dot_product_flash_attention(q, k, v, dropout_p, is_causal, scale=scale)[0]

    monkeypatch.setattr(F, "scaled_dot_product_attention", flash)
    model, mode = MainModel(8, ssl_path=folder(family), **options).train(), FakeTensorMode()
    assert model.ssl_model.model.config._attn_implementation == "sdpa"
    with mode:
        onto_fake_cuda(model, mode)
        with torch.autocast("cuda", torch.bfloat16):
            assert model(torch.empty(2, 16_000, device="cuda")).is_cuda
    assert seen == [(2, 2, 49, 16)] * 3


def test_the_heads_of_xls_r_300m_are_of_a_width_that_the_flash_kernel_has():
    width = XLS_R_300M_CONFIG["hidden_size"] // XLS_R_300M_CONFIG["num_attention_heads"]
    assert width % 8 == 0 and width <= 256
