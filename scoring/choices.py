"""The names that a user may choose from, and defaults, where options and work both find them."""

BACKENDS = ("cosine", "wccn", "lda", "plda")
OF_LOGITS = ("msp", "energy", "sme", "nsd")
OPENSET_SCORES = (*OF_LOGITS, "centroid", "knn", "mahalanobis")
TOP = 300  # of the cohort, the most alike
