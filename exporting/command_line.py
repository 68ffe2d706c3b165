"""The options of export.py."""

from settings.arguments import Parser

FORMATS = {
    "onnx": "waveform to embedding (and logits): model.onnx",
    "wespeaker": "Kaldi's filter banks to embedding, as sherpa-onnx and wespeaker load it: model.onnx",
    "hf": "model.safetensors, config.json and a model card, for the Hugging Face hub and load_model",
    "voxceleb_trainer": "the state of its ResNetSE34L",
}


def parser() -> Parser:
    """The command line."""
    parser = Parser(prog="export.py", description="Give a trained model to other programs.")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a checkpoint, or a folder of --format hf")
    parser.add_argument("--out", metavar="DIR", required=True, help="the new folder")
    formats = "; ".join(f"{name}: {text}" for name, text in FORMATS.items())
    parser.add_argument("--format", choices=FORMATS, default="onnx", help=f"{formats} (default: %(default)s)")
    graphs = parser.add_argument_group("onnx and wespeaker")
    graphs.add_argument("--quantize", choices=["int8"], help="write model.int8.onnx, too: weights in 8 bits")
    graphs.add_argument("--test_list", metavar="LIST", help="report the EER of each file over all pairs of this list")
    graphs.add_argument(
        "--calibration_list",
        metavar="LIST",
        help="what int8 takes the activations' ranges from (default: the checkpoint's train list)",
    )
    graphs.add_argument(
        "--path",
        metavar="DIR",
        help="folder that the paths of both lists start from (default: the checkpoint's train_path)",
    )
    card = parser.add_argument_group("hf: the model card")
    card.add_argument(
        "--license", default="other", metavar="NAME", help="of the weights, a name of the hub's (default: %(default)s)"
    )
    card.add_argument("--dataset", nargs="+", default=[], metavar="NAME", help="the training data, names of the hub's")
    card.add_argument("--data_terms", default="", metavar="TEXT", help="the training data and its licence, a sentence")
    return parser
