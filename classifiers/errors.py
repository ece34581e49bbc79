"""The one error of this package: an artifact or the weights it rests on cannot be used. The operator acts on it."""


class ArtifactError(Exception):
    """A file of an artifact or of the embedder is missing, damaged or does not fit; the message names file and remedy."""
