"""All that a training imports when it comes to need it, for the process that others are forked from."""
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
