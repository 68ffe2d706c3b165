"""All that a training imports when it needs it, for the process that tests fork from; its network is small."""
# ruff: noqa: F401

import matplotlib.figure
import sklearn.isotonic
import torch._dynamo

import engine.diagnostics
import engine.experiment
import engine.resuming
import engine.tensorboard_log
import evaluation
import loss.aamsoftmax
import models.ThinResNet34
import scoring.all_pairs
import scoring.files
import trainSpeakerNet
from tests.conftest import SMALL

models.ThinResNet34.BLOCKS = SMALL
