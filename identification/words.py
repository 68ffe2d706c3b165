"""Names that options and modules share; importing them imports nothing heavy."""

SCORERS = ("centroid", "knn", "plda")
UNKNOWN = "unknown"  # the answer, and so no system's name
