"""The shipped classifier: skip, small or strong, and how it is trained."""
