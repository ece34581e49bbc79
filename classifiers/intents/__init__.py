"""What does a text want, and is it one of the things we know?"""
