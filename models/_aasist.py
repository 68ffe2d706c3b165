"""The AASIST back-end: a graph of spectral and a graph of temporal nodes, joined by heterogeneous attention.

Jung et al., "AASIST: Audio Anti-Spoofing using Integrated Spectro-Temporal Graph Attention Networks", ICASSP 2022, in
the form that Tak et al., "Automatic speaker verification spoofing and deepfake detection using wav2vec 2.0 and data
augmentation", Odyssey 2022, put behind a self-supervised model. Modules bear the names of the published code
(clovaai/aasist, TakHemlata/SSL_Anti-spoofing), so that its weights load here.

Beside the project's letters: N nodes of a graph, C channels of a feature map, S its spectral rows, W its columns in
time.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

BINS = 128  # the features of a frame after the first projection
WINDOW = 3  # side of the first max-pooling: 128 x F becomes 42 x F/3
NODE = 64  # width of a node in the two separate graphs
JOINT = 32  # and in the joint graph
READOUT = 5 * JOINT
MOST_IN_MAPS = 1 << 24  # numbers in the maps of pairs of nodes at once: 64 MiB


class ResidualBlock(nn.Module):
    """Two convolutions over (spectrum, time) and a shortcut; the height and the width of the map stay as they are."""

    def __init__(self, channels_in: int, channels_out: int, first: bool = False):
        super().__init__()
        if not first:
            # Published, but without effect (see forward): here for its name, and left alone by the optimiser.
            self.bn1 = nn.BatchNorm2d(channels_in).requires_grad_(False)
        self.conv1 = nn.Conv2d(channels_in, channels_out, kernel_size=(2, 3), padding=(1, 1))
        self.bn2 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, kernel_size=(2, 3), padding=(0, 1))
        self.conv_downsample = None
        if channels_in != channels_out:
            self.conv_downsample = nn.Conv2d(channels_in, channels_out, kernel_size=(1, 3), padding=(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Feature map (B, C_in, S, W) to (B, C_out, S, W).

        A quirk that is kept: the published block normalises its input with bn1 and then convolves the input itself.
        """
        residual = self.conv2(F.selu(self.bn2(self.conv1(x))))
        return residual + (x if self.conv_downsample is None else self.conv_downsample(x))


def pair_maps(some: Tensor, x: Tensor, projection: nn.Linear) -> Tensor:
    """tanh(W (x_i * x_j) + b) of some nodes with every node: (B, n, in) and (B, N, in) to (B, n, out, N).

    W (x_i * x_j) = (W diag(x_i)) x_j: one matrix product, and the (B, n, N, in) products of pairs are never stored.
    """
    from_i = some.unsqueeze(2) * projection.weight  # (B, n, out, in)
    products = from_i.flatten(1, 2) @ x.transpose(1, 2)  # (B, n * out, N)
    return torch.tanh(products.unflatten(1, from_i.shape[1:3]) + projection.bias.unsqueeze(1))


def attend(x: Tensor, scores: Callable[[slice], Tensor], width: int, temperature: float) -> Tensor:
    """What every node gathers from all nodes: (B, N, in) to the same.

    `scores` gives those of a slice of nodes with every node, (B, n, N), from pair maps of `width`. It is asked for as
    many nodes at once as the maps may take memory: they grow with the square of N, and so of an utterance's duration.
    """
    count = x.shape[1]
    if torch.compiler.is_exporting():  # a graph for any number of nodes has no loop over them
        return torch.softmax(scores(slice(0, count)) / temperature, dim=-1) @ x
    chunk = max(1, MOST_IN_MAPS // (len(x) * count * width))
    parts = [
        torch.softmax(scores(slice(begin, min(begin + chunk, count))) / temperature, dim=-1) @ x
        for begin in range(0, count, chunk)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def attention_weight(width: int) -> nn.Parameter:
    """The vector (width, 1) that makes a score of a pair's map."""
    return nn.Parameter(nn.init.xavier_normal_(torch.empty(width, 1)))


def normalised(bn: nn.BatchNorm1d, nodes: Tensor) -> Tensor:
    """Nodes (B, N, D) batch-normalised over all nodes of the batch, then SELU."""
    return F.selu(bn(nodes.flatten(0, 1))).view_as(nodes)


class GraphAttention(nn.Module):
    """Attention between all nodes of one kind."""

    def __init__(self, width_in: int, width_out: int, temperature: float):
        super().__init__()
        self.temperature = temperature
        self.att_proj = nn.Linear(width_in, width_out)
        self.att_weight = attention_weight(width_out)
        self.proj_with_att = nn.Linear(width_in, width_out)
        self.proj_without_att = nn.Linear(width_in, width_out)
        self.bn = nn.BatchNorm1d(width_out)
        self.input_drop = nn.Dropout(0.2)

    def forward(self, x: Tensor) -> Tensor:
        """Nodes (B, N, width_in) to nodes (B, N, width_out)."""
        x = self.input_drop(x)
        attended = attend(x, lambda rows: self.scores(x, rows), self.att_proj.out_features, self.temperature)
        return normalised(self.bn, self.proj_with_att(attended) + self.proj_without_att(x))

    def scores(self, x: Tensor, rows: slice) -> Tensor:
        """Nodes (B, N, in) to the scores (B, n, N) of n of them with all."""
        return (self.att_weight.T @ pair_maps(x[:, rows], x, self.att_proj)).squeeze(2)


class HeterogeneousGraphAttention(nn.Module):
    """Attention between the nodes of two kinds, with a vector of its own for each kind of pair, and a master node that
    gathers from all nodes and gives to none.
    """

    def __init__(self, width_in: int, width_out: int, temperature: float):
        super().__init__()
        self.temperature = temperature
        self.proj_type1 = nn.Linear(width_in, width_in)
        self.proj_type2 = nn.Linear(width_in, width_in)
        self.att_proj = nn.Linear(width_in, width_out)
        self.att_projM = nn.Linear(width_in, width_out)
        self.att_weight11 = attention_weight(width_out)
        self.att_weight22 = attention_weight(width_out)
        self.att_weight12 = attention_weight(width_out)
        self.att_weightM = attention_weight(width_out)
        self.proj_with_att = nn.Linear(width_in, width_out)
        self.proj_without_att = nn.Linear(width_in, width_out)
        self.proj_with_attM = nn.Linear(width_in, width_out)
        self.proj_without_attM = nn.Linear(width_in, width_out)
        self.bn = nn.BatchNorm1d(width_out)
        self.input_drop = nn.Dropout(0.2)

    def forward(self, first: Tensor, second: Tensor, master: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Nodes (B, N1, in), (B, N2, in) and the master (B or 1, 1, in) to the same three of width out."""
        counts = (first.shape[1], second.shape[1])
        x = self.input_drop(torch.cat([self.proj_type1(first), self.proj_type2(second)], dim=1))
        width = self.att_proj.out_features
        attended = attend(x, lambda rows: self.scores(x, counts[0], rows), width, self.temperature)
        nodes = normalised(self.bn, self.proj_with_att(attended) + self.proj_without_att(x))
        return *nodes.split(counts, dim=1), self.gathered(x, master)

    def scores(self, x: Tensor, count: int, rows: slice) -> Tensor:
        """Nodes (B, N, in), the first `count` of the first kind, to the scores (B, n, N) of n of them with all."""
        maps = pair_maps(x[:, rows], x, self.att_proj)  # (B, n, out, N)
        split = max(0, count - rows.start)
        above, below = maps[:, :split], maps[:, split:]
        rows = [
            [self.att_weight11.T @ above[..., :count], self.att_weight12.T @ above[..., count:]],
            [self.att_weight12.T @ below[..., :count], self.att_weight22.T @ below[..., count:]],
        ]
        return torch.cat([torch.cat(row, dim=-1) for row in rows], dim=1).squeeze(2)

    def gathered(self, x: Tensor, master: Tensor) -> Tensor:
        """The next master (B, 1, out) of nodes (B, N, in) and a master (B or 1, 1, in)."""
        scores = torch.tanh(self.att_projM(x * master)) @ self.att_weightM  # (B, N, 1)
        attention = torch.softmax(scores / self.temperature, dim=1)
        return self.proj_with_attM(attention.transpose(1, 2) @ x) + self.proj_without_attM(master)


class GraphPool(nn.Module):
    """Keeps the better half of the nodes, each scaled by its score."""

    def __init__(self, width: int):
        super().__init__()
        self.proj = nn.Linear(width, 1)
        self.drop = nn.Dropout(0.3)

    def forward(self, nodes: Tensor) -> Tensor:
        """Nodes (B, N, D) to (B, max(1, N // 2), D), best first."""
        scores = torch.sigmoid(self.proj(self.drop(nodes)))
        kept = scores.topk(max(1, nodes.shape[1] // 2), dim=1).indices
        return (nodes * scores).gather(1, kept.expand(-1, -1, nodes.shape[2]))


class AASIST(nn.Module):
    """Frames of a self-supervised model to an embedding. 446,920 parameters before `out_layer` where `width` is 1024.

    `width`: features of a frame. `nOut`: dimension of the embedding.
    """

    min_frames = WINDOW

    def __init__(self, width: int, nOut: int):
        super().__init__()
        self.LL = nn.Linear(width, BINS)
        self.first_bn = nn.BatchNorm2d(1)
        self.first_bn1 = nn.BatchNorm2d(NODE)
        self.drop = nn.Dropout(0.5)
        self.drop_way = nn.Dropout(0.2)
        channels = [1, 32, 32, NODE, NODE, NODE, NODE]
        self.encoder = nn.Sequential(
            *(
                nn.Sequential(ResidualBlock(before, after, first=before == 1))
                for before, after in zip(channels, channels[1:], strict=False)
            )
        )
        self.attention = nn.Sequential(nn.Conv2d(NODE, 128, 1), nn.SELU(), nn.BatchNorm2d(128), nn.Conv2d(128, NODE, 1))
        self.pos_S = nn.Parameter(torch.randn(1, BINS // WINDOW, NODE))
        self.master1 = nn.Parameter(torch.randn(1, 1, NODE))
        self.master2 = nn.Parameter(torch.randn(1, 1, NODE))
        self.GAT_layer_S = GraphAttention(NODE, NODE, temperature=2.0)
        self.GAT_layer_T = GraphAttention(NODE, NODE, temperature=2.0)
        self.HtrgGAT_layer_ST11 = HeterogeneousGraphAttention(NODE, JOINT, temperature=100.0)
        self.HtrgGAT_layer_ST12 = HeterogeneousGraphAttention(JOINT, JOINT, temperature=100.0)
        self.HtrgGAT_layer_ST21 = HeterogeneousGraphAttention(NODE, JOINT, temperature=100.0)
        self.HtrgGAT_layer_ST22 = HeterogeneousGraphAttention(JOINT, JOINT, temperature=100.0)
        self.pool_S, self.pool_T = GraphPool(NODE), GraphPool(NODE)
        self.pool_hS1, self.pool_hT1 = GraphPool(JOINT), GraphPool(JOINT)
        self.pool_hS2, self.pool_hT2 = GraphPool(JOINT), GraphPool(JOINT)
        self.out_layer = nn.Linear(READOUT, nOut)

    def embed(self, frames: Tensor) -> Tensor:
        """Frames (B, F, width) to embeddings (B, nOut), F at least 3. Computes in the parameters' own precision.

        Autocast is off here: half precision would make ties among the scores that pooling ranks, and so the nodes it
        keeps would hang on the rounding. Against the front-end the cost is small.
        """
        with torch.autocast(frames.device.type, enabled=False):
            return self.out_layer(self.drop(self.readout(frames.to(self.LL.weight.dtype))))

    def readout(self, frames: Tensor) -> Tensor:
        """Frames (B, F, width) to the readout (B, 160): max |T|, mean T, max |S|, mean S, master."""
        spectral, temporal = self.graphs(self.feature_map(frames))
        one = self.stack(
            temporal,
            spectral,
            self.master1,
            self.HtrgGAT_layer_ST11,
            self.HtrgGAT_layer_ST12,
            self.pool_hT1,
            self.pool_hS1,
        )
        # A quirk that is kept: the second stack starts from a master node of its own, not from what the first one made.
        two = self.stack(
            temporal,
            spectral,
            self.master2,
            self.HtrgGAT_layer_ST21,
            self.HtrgGAT_layer_ST22,
            self.pool_hT2,
            self.pool_hS2,
        )
        t, s, master = (torch.maximum(self.drop_way(a), self.drop_way(b)) for a, b in zip(one, two, strict=True))
        return torch.cat([t.abs().amax(1), t.mean(1), s.abs().amax(1), s.mean(1), master.squeeze(1)], dim=1)

    def feature_map(self, frames: Tensor) -> Tensor:
        """Frames (B, F, width) to the map (B, 64, 42, F // 3)."""
        x = self.LL(frames).transpose(1, 2).unsqueeze(1)  # (B, 1, 128, F)
        x = F.selu(self.first_bn(F.max_pool2d(x, WINDOW)))
        return F.selu(self.first_bn1(self.encoder(x)))

    def graphs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, 64, 42, W) to the pooled spectral nodes (B, 21, 64) and temporal nodes (B, max(1, W // 2), 64)."""
        weights = self.attention(x)
        spectral = (x * weights.softmax(dim=3)).sum(dim=3).transpose(1, 2) + self.pos_S
        temporal = (x * weights.softmax(dim=2)).sum(dim=2).transpose(1, 2)
        return self.pool_S(self.GAT_layer_S(spectral)), self.pool_T(self.GAT_layer_T(temporal))

    @staticmethod
    def stack(
        temporal: Tensor,
        spectral: Tensor,
        master: Tensor,
        first: HeterogeneousGraphAttention,
        second: HeterogeneousGraphAttention,
        pool_temporal: GraphPool,
        pool_spectral: GraphPool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Two heterogeneous layers with pooling between them; the second adds to what the first one made."""
        t, s, m = first(temporal, spectral, master)
        t, s = pool_temporal(t), pool_spectral(s)
        return tuple(old + new for old, new in zip((t, s, m), second(t, s, m), strict=True))
