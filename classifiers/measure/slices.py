"""Which language a text is written in, as far as a report's slices need it. Bounded, total, no model."""

import unicodedata
from collections import Counter
from typing import Final

CHARS_MAX: Final = 600
SCRIPTS: Final = {
    "CJK": "zh",
    "HIRAGANA": "ja",
    "KATAKANA": "ja",
    "HANGUL": "ko",
    "CYRILLIC": "ru",
    "ARABIC": "ar",
    "HEBREW": "he",
    "DEVANAGARI": "hi",
    "GREEK": "el",
    "THAI": "th",
}
"""Unicode's name of a script to the language it most often writes; Cyrillic and Arabic write others too."""
FUNCTION_WORDS: Final = {
    "en": "the of and to in is that it for on with as are this be was what how which you from an a i do my me can have",
    "de": "der die das und ist nicht ein eine ich mit für auf wie was den von zu im dem wird sind",
    "fr": "le la les des et est un une que qui dans pour sur pas je vous du au comment avec sont",
    "es": "el los las y es una que en por para con no cómo qué del se mi lo su son al",
    "it": "il di che e è un una per non con sono come della gli nel mi ho cosa ai dei",
    "pt": "o os as e é um uma que em para com não como do da se por meu são ao na",
    "nl": "de het een en is van ik niet dat op te voor met hoe wat zijn aan er maar",
    "pl": "i w na z do nie jest że się jak co to po za od czy dla mnie są",
}
_OF_WORD: Final[dict[str, list[str]]] = {}
for _language, _words in FUNCTION_WORDS.items():
    for _word in _words.split():
        _OF_WORD.setdefault(_word, []).append(_language)


def language(text: str) -> str:
    """A two-letter code by script and function words, or `?` where neither tells."""
    head = text[:CHARS_MAX]
    letters = [char for char in head if char.isalpha()]
    if not letters:
        return "?"
    foreign = Counter(_script_of(char) for char in letters if ord(char) > 0x24F)
    if foreign and sum(foreign.values()) > len(letters) / 3:
        # Japanese is written in Chinese characters too, Chinese never in kana.
        if foreign["ja"]:
            return "ja"
        return foreign.most_common(1)[0][0]
    votes = Counter(language for word in head.lower().split() for language in _OF_WORD.get(word.strip(".,;:!?()\"'"), ()))
    return votes.most_common(1)[0][0] if votes else "?"


def _script_of(char: str) -> str:
    return SCRIPTS.get(unicodedata.name(char, "").split(" ")[0], "?")
