"""Languages for a report's slices, and its picture."""

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.measure.picture import draw
from classifiers.measure.routing_metrics import curve
from classifiers.measure.slices import language


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What is the capital of the country?", "en"),
        ("Wie ist das Wetter und was kostet die Fahrt?", "de"),
        ("do i need to call them", "en"),
        ("Jak się dostać do centrum i co jest w pobliżu?", "pl"),
        ("Quelle est la capitale de la France ?", "fr"),
        ("¿Cómo se dice esto en el idioma de los vecinos?", "es"),
        ("Какая столица Франции?", "ru"),
        ("法国的首都是哪里？", "zh"),
        ("フランスの首都はどこですか", "ja"),
        ("프랑스의 수도는 어디입니까", "ko"),
        ("1 + 1 = 2", "?"),
        ("", "?"),
        ("😀😀", "?"),
    ],
)
def test_language_by_script_and_function_words(text, expected):
    assert language(text) == expected


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=200))
def test_any_text_has_a_language_or_none(text):
    assert language(text)


def test_the_picture_is_xml_that_names_its_curves():
    score = np.linspace(0, 1, 900)
    found = curve(score, np.zeros(900), (score > 0.5).astype(float))
    text = draw({"ours <best>": found, "random": found}, [(0.2, 0.1, 30), (0.9, 1.0, 60)], "a & b")
    root = ElementTree.fromstring(text)
    names = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"a & b", "ours <best>", "random", "mean quality"} <= set(names)
    lines = root.findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 2 and len(lines[0].attrib["points"].split()) < 500
    assert len(root.findall("{http://www.w3.org/2000/svg}circle")) == 2
