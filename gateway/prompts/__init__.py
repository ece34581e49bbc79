"""Prompt templates: found in what is asked, without the help of the apps that ask."""
