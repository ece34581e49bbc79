"""The cache in the life of a request: what is looked up and kept, single-flight, refreshes and audits in the background."""
