"""The errors of this package, by who must act on them."""


class ArtifactError(Exception):
    """A file of an artifact or of the embedder is missing, damaged or does not fit; the message names file and remedy."""


class DataError(Exception):
    """Labelled data that cannot be read or learned from; the message names file, line and remedy."""
