"""The losses' formulas in plain Python over scalars: slow, and independent of loss/.

Each takes embeddings (K, M, D) or (B, D), a list of labels (K,) or (B,), and the loss's parameters and buffers by name.
"""

import math

import torch


def cosine(a, b):
    return (a * b).sum() / (a.square().sum().sqrt() * b.square().sum().sqrt())


def cross_entropy(rows, labels):
    terms = [torch.logsumexp(torch.stack(row), 0) - row[label] for row, label in zip(rows, labels, strict=True)]
    return torch.stack(terms).mean()


def utterances(x, labels):
    """Pairs of an embedding and its label."""
    if x.dim() == 2:
        return list(zip(x, labels, strict=True))
    return [(x[k, m], labels[k]) for k in range(x.shape[0]) for m in range(x.shape[1])]


def angular(c, m):
    theta = torch.arccos(c)
    return torch.cos(theta + m) if theta + m <= math.pi else c - m * math.sin(math.pi - m)


def classified(x, labels, logits):
    """Cross-entropy of `logits(embedding, label)`, a list over the systems."""
    pairs = utterances(x, labels)
    return cross_entropy([logits(u, k) for u, k in pairs], [k for _, k in pairs])


def softmax(x, labels, p, prefix=""):
    weight, bias = p[f"{prefix}fc.weight"], p[f"{prefix}fc.bias"]
    return classified(x, labels, lambda u, _: [(w * u).sum() + b for w, b in zip(weight, bias, strict=True)])


def amsoftmax(x, labels, p, m=0.2, s=30.0):
    return classified(x, labels, lambda u, k: [s * (cosine(u, w) - m * (j == k)) for j, w in enumerate(p["weight"])])


def aam_logits(cosines, k, m, s):
    return [s * (angular(c, m) if j == k else c) for j, c in enumerate(cosines)]


def aamsoftmax(x, labels, p, m=0.2, s=30.0):
    return classified(x, labels, lambda u, k: aam_logits([cosine(u, w) for w in p["weight"]], k, m, s))


aamsoftmax_frozen = aamsoftmax
aamsoftmax_regmixup = aamsoftmax  # of a batch without mixtures


def aamsoftmax_subcenter(x, labels, p, m=0.2, s=30.0, centers=3):
    def logits(u, k):
        nearest = [
            max((cosine(u, w) for w in p["weight"][centers * j : centers * (j + 1)]), key=lambda c: float(c.detach()))
            for j in range(len(p["weight"]) // centers)
        ]
        return aam_logits(nearest, k, m, s)

    return classified(x, labels, logits)


def aamsoftmax_intertopk(x, labels, p, m=0.2, s=30.0, top=5, penalty=0.06):
    def logits(u, k):
        cosines = [cosine(u, w) for w in p["weight"]]
        hardest = sorted((j for j in range(len(cosines)) if j != k), key=lambda j: -float(cosines[j].detach()))[:top]
        values = aam_logits(cosines, k, m, s)
        for j in hardest:
            values[j] = s * torch.cos(torch.arccos(cosines[j]) - penalty)
        return values

    return classified(x, labels, logits)


def ge2e(x, labels, p):  # noqa: ARG001
    rows, own = [], []
    for k in range(x.shape[0]):
        for i in range(x.shape[1]):
            row = []
            for j in range(x.shape[0]):
                members = [x[j, n] for n in range(x.shape[1]) if j != k or n != i]
                row.append(p["w"] * cosine(x[k, i], sum(members) / len(members)).clamp(min=1e-6) + p["b"])
            rows.append(row)
            own.append(k)
    return cross_entropy(rows, own)


def angleproto(x, labels, p, prefix=""):  # noqa: ARG001
    centroids = [sum(x[j, n] for n in range(1, x.shape[1])) / (x.shape[1] - 1) for j in range(x.shape[0])]
    w, b = p[f"{prefix}w"], p[f"{prefix}b"]
    rows = [[w * cosine(x[k, 0], c) + b for c in centroids] for k in range(x.shape[0])]
    return cross_entropy(rows, list(range(x.shape[0])))


def softmaxproto(x, labels, p):
    return softmax(x, labels, p, "softmax.") + angleproto(x, labels, p, "angleproto.")


def proxyanchor(x, labels, p, delta=0.1, alpha=32.0):
    pairs, pull, push = utterances(x, labels), [], []
    for j, proxy in enumerate(p["weight"]):
        near = [torch.exp(-alpha * (cosine(u, proxy) - delta)) for u, k in pairs if k == j]
        far = [torch.exp(alpha * (cosine(u, proxy) + delta)) for u, k in pairs if k != j]
        push.append(torch.log(1 + sum(far)))
        if near:
            pull.append(torch.log(1 + sum(near)))
    return sum(pull) / len(pull) + sum(push) / len(push)


def supcon(x, labels, p, tau=0.1):  # noqa: ARG001
    pairs, terms = utterances(x, labels), []
    for i, (u, k) in enumerate(pairs):
        others = [(v, j) for n, (v, j) in enumerate(pairs) if n != i]
        total = sum(torch.exp(cosine(u, v) / tau) for v, _ in others)
        own = [torch.log(torch.exp(cosine(u, v) / tau) / total) for v, j in others if j == k]
        if own:
            terms.append(-sum(own) / len(own))
    return sum(terms) / len(terms)
