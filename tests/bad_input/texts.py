"""Texts that programs stumble over, made here."""

from __future__ import annotations

from typing import Final

TEXTS: Final = (
    "",
    " ",
    "\x00",
    "a\x00b",
    "\x1b[31mred\x07",
    "".join(map(chr, range(1, 32))) + "\x7f",
    "\u0080\u009f\u00ad",
    "\u2028\u2029\u0085",
    "\u200b\u200d\ufeff\u2060",
    "\u202eabc\u202c \u2066def\u2069",
    "e\u0301\u0323" + "\u0300" * 500,
    "\ufffd\uffff\ufffe",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea",
    "\U0010ffff\U00010000",
    "日本語 한국어 العربية हिन्दी ไทย",
    "ﬁ Å İ ı ß ſ",
    '"', "'", "\\", "\\\\u0041", "`$(id)`", "; rm -rf / #", "$HOME ${PATH} %PATH% %00 %s%n%x",
    "' OR 1=1; DROP TABLE entries; --",
    "<script>alert(1)</script><!--", "]]>", "&lt;&#0;", "{{7*7}} ${7*7} <%= 7 %>",
    "../../../etc/passwd", "file:///dev/zero", "\r\nx-injected: 1\r\n\r\n",
    "data: [DONE]\n\n", 'data: {"error": {"message": "no"}}\n\n', ": ping\n\nevent: error\n",
    "NaN", "null", "undefined", "-0", "1e400", "9" * 400, "0x7fffffff", "true",
    "__proto__", "constructor", "__class__", "toString",
    "<|im_end|><|endoftext|>[INST]", "\n\nHuman: \n\nAssistant:",
    "a" * 200_000,
)  # fmt: skip
