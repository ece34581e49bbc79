"""The verifier: which pairs of similar texts may share an answer, and what it says of those that may not."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.pairs.rules import CHARS_MAX, differs

SAME = [
    # what is asked of words is said otherwise, or they are not the matter
    ("What is the correct way to hold a chisel?", "What's the correct way to hold a chisel?"),
    ("Translate to Italian: begin now", "please translate to Italian: begin now"),
    (
        f"{'Every clause of this contract is to be read with care. ' * 12}Who pays?",
        f"{'every clause of this contract is to be read with care. ' * 12}who pays",
    ),
    # case, space, punctuation
    ("How do I reset my router?", "how do i reset my router"),
    ("How do I reset my router?", "  How do I  reset\nmy router ??? "),
    ("HOW DO I RESET MY ROUTER", "How do I reset my router?"),
    ("What is the capital of Mongolia?", "what is the capital of mongolia"),
    ("What’s a “heat pump”?", 'What is a "heat pump"?'),
    ("café opening hours in Lyon", "cafe\u0301 opening hours in Lyon"),
    # courtesy
    ("How do I descale a kettle?", "Hi, could you please tell me how I descale a kettle? Thanks!"),
    ("How do I descale a kettle?", "Quick question - how do I descale a kettle? Thank you in advance."),
    ("What is a covered bond?", "Please explain: what is a covered bond?"),
    ("What is a covered bond?", "Hello! I'd like to know what is a covered bond."),
    ("Summarise the water cycle", "Please summarize the water cycle, thanks"),
    # the frame of the question
    ("How do I sharpen a chisel?", "How can I sharpen a chisel?"),
    ("How do I sharpen a chisel?", "What is the way to sharpen a chisel?"),
    ("How do I sharpen a chisel?", "What's the best way to sharpen chisels?"),
    ("How do you sharpen your chisel?", "How should I sharpen my chisel?"),
    ("What are good pens for sketching?", "Which is the best pen for sketching?"),
    ("Why is the sea salty?", "What is the reason the sea is salty?"),
    ("What is a tort?", "What's a tort"),
    # articles, plural, tense of the verb, spelling
    ("What is the price of a stamp?", "what is price of stamps"),
    ("How do I remove stains from a wool carpet?", "How can you delete stain from wool carpets"),
    ("How do I organise my colour swatches?", "How do I organize my color swatches?"),
    ("How do I set up an e-mail account?", "How do I set up an email account?"),
    ("What makes a good photograph?", "What makes a good picture?"),
    # slips of the pen
    ("How do I calculate compound interest?", "How do I claculate compound interest?"),
    ("How do I calculate compound interest?", "How do I calculate compound interrest?"),
    ("What is the difference between jam and jelly?", "What is the diference bewteen jam and jelly?"),
    # numbers written otherwise
    ("Name 2 rivers in Wales", "Name two rivers in Wales"),
    ("What is 1,000 metres in feet?", "What is 1000 metres in feet?"),
    ("Flats under $5 million in Oslo", "flats under 5,000,000 dollars in Oslo"),
    ("What is 5% of 80?", "What is 5 percent of eighty?"),
    ("Who was the 2nd man on the moon?", "Who was the second man on the moon?"),
    ("Phones under 15k", "phones under 15,000"),
    ("Is a 3.5mm plug common?", "Is a 3.5 mm plug common?"),
    ("twenty-five facts about owls", "25 facts about owls"),
    ("How does one become a notary?", "How do I become a notary?"),
    # lists and clauses that changed places
    ("What is the difference between a crow and a raven?", "What is the difference between a raven and a crow?"),
    ("Which is warmer, wool or fleece?", "Which is warmer, fleece or wool?"),
    ("How do I get from Ghent to Bruges by train?", "How do I get to Bruges from Ghent by train?"),
    ("Is it worth it or not?", "Is it worth it?"),
    ("What is the climate of Peru?", "What is Peru's climate?"),
    # other scripts and code
    ("今天天气怎么样?", "今天天气怎么样"),
    ("Как сварить рис?", "как сварить рис"),
    ("What does `git rebase` do?", 'What does "git rebase" do?'),
    ("How do I use os.path.join?", "How do I use os.path.join"),
    # what the rules below must leave alone: case, units, hyphens, dashes
    ("how do i reset my Password", "how do i reset my password"),
    ("what is covid-19", "What is COVID-19?"),
    ("10km in miles", "10 km in miles"),
    ("What is 40C in F", "what is 40 C in F?"),
    ("what is 3d printing", "What is 3D printing?"),
    ("who won in 2022!", "Who won in 2022?"),
    ("Quick question - who won in 2022?", "who won in 2022"),
    ("what is .5 + 1", "what is 0.5 + 1"),
    ("¿Quién mató a Pedro?", "¿quién mató a pedro?"),
    ("Rs500 in USD", "₹500 in USD"),
    ("How do I get a loan?", "How can I get a loan"),
    ("WHAT IS A TORT", "What is a tort?"),
    ("What is the best way to learn go", "how do I learn go"),
    ("Is it good to have tea or coffee", "is it good to have coffee or tea"),
    ("How do I learn Python systematically?", "how do i learn python systematically"),
    ("take care of it", "take care of it!"),
]

LONG_TEXT = " ".join(f"Clause {n} says that party number {n} pays the other." for n in range(2, 14))
DIFFERENT = [
    # one word of a long text, or one that stands elsewhere in it as well
    (f"{LONG_TEXT} Who gains by it?", f"{LONG_TEXT} Who loses by it?", "words"),
    ("Anna likes Bob. Bob likes Carl. Who likes Bob?", "Anna likes Bob. Bob likes Carl. Who likes Carl?", "order"),
    ("How do I merge develop into main?", "How do I merge main into develop?", "order"),
    # letters that are names
    ("Is A a subset of B?", "Is B a subset of A?", "order"),
    ("What does too much vitamin A do?", "What does too much vitamin do?", "name"),
    # code, and texts that are the matter themselves
    ("What does print(a, b) do?", "What does print(b, a) do?", "code"),
    ("Explain:\nfor x in y:\n    a()\n    b()", "Explain:\nfor x in y:\n    a()\nb()", "code"),
    ("Fix the spelling: recieve", "Fix the spelling: receive", "quotation"),
    ("Translate to Italian: begin now", "Translate to Italian: start now", "quotation"),
    ("How many letters are in banana?", "How many letters are in bananna?", "quotation"),
    ("Is this ladder safe?", "Is this ladder unsafe?", "negation"),
    # numbers, dates, versions, money, units
    ("What happened in 1989?", "What happened in 1991?", "number"),
    ("Name three rivers in Wales", "Name 4 rivers in Wales", "number"),
    ("How do I install Python 3.10?", "How do I install Python 3.1?", "number"),
    ("Is 1.5 mg too much?", "Is 15 mg too much?", "number"),
    ("What is due on 2026-03-01?", "What is due on 2026-01-03?", "number"),
    ("Best cameras under $500", "Best cameras under $800", "number"),
    ("What are cameras under $500?", "What are cameras under €500?", "sign"),
    ("How far is 5 km?", "How far is 5 miles?", "number"),
    ("Who came first in the race?", "Who came third in the race?", "number"),
    ("Plan a trip of five days to Rome", "Plan a trip to Rome", "number"),
    ("Two red and 3 blue beads", "3 red and two blue beads", "order"),
    ("What is 7 + 5?", "What is 7 * 5?", "sign"),
    # negation (C6)
    ("Should I take aspirin with milk?", "Should I not take aspirin with milk?", "negation"),
    ("Why do cats like boxes?", "Why don't cats like boxes?", "negation"),
    ("Can you fly with a passport?", "Can you fly without a passport?", "negation"),
    ("Which planes have never crashed?", "Which planes have crashed?", "negation"),
    ("Foods for people who can eat gluten", "Foods for people who cant eat gluten", "negation"),
    ("Countries in Europe that use the euro", "Countries in Europe except those that use the euro", "negation"),
    ("Is this contract valid?", "Is this contract invalid?", "negation"),
    ("How do I install Docker?", "How do I uninstall Docker?", "opposites"),
    ("I know why he does not call", "I do not know why he does call", "order"),
    # names
    ("How many people live in Ghent?", "How many people live in Bruges?", "name"),
    ("Does NATO have an army?", "Does ASEAN have an army?", "name"),
    ("What is the tax rate in Ohio?", "What is the tax rate?", "name"),
    ("Who wrote the US constitution?", "Who wrote the constitution?", "name"),
    ('What does "idempotent" mean?', 'What does "commutative" mean?', "quotation"),
    # code, flags, files, addresses (C6)
    ("What does --max-cost do?", "What does --max-heads do?", "code"),
    ("What does ls -a show?", "What does ls -A show?", "code"),
    ("Why is config.yaml ignored?", "Why is config.toml ignored?", "code"),
    ("What does parse_url return?", "What does parse_uri return?", "code"),
    ("Summarise https://example.org/a", "Summarise https://example.org/b", "code"),
    ("Write to ann@example.org", "Write to bob@example.org", "code"),
    ("How do I learn C++?", "How do I learn C#?", "code"),
    # antonyms, comparatives
    ("What is the maximum dose of zinc?", "What is the minimum dose of zinc?", "opposites"),
    ("How do I increase my blood pressure?", "How do I reduce my blood pressure?", "opposites"),
    ("What to eat before a run?", "What to eat after a run?", "opposites"),
    ("What are the best hotels here?", "What are the worst hotels here?", "opposites"),
    ("Should I buy bonds now?", "Should I sell bonds now?", "opposites"),
    ("How do I enable dark mode?", "How do I disable dark mode?", "opposites"),
    ("How do I encode base64?", "How do I decode base64?", "opposites"),
    ("How do I turn the heating on?", "How do I turn the heating off?", "words"),
    ("What are the benefits of fasting?", "What are the drawbacks of fasting?", "opposites"),
    ("Is he taller than his brother?", "Is she taller than her brother?", "opposites"),
    # order of arguments
    ("How do I get from Ghent to Bruges?", "How do I get from Bruges to Ghent?", "order"),
    ("Why is tea better than coffee?", "Why is coffee better than tea?", "order"),
    ("Convert celsius to kelvin", "Convert kelvin to celsius", "order"),
    ("Did the dog bite the man?", "Did the man bite the dog?", "order"),
    ("A letter from my landlord", "A letter to my landlord", "order"),
    ("Is a liberal Dane or a conservative Swede taller?", "Is a conservative Dane or a liberal Swede taller?", "order"),
    # what is asked
    ("Who founded the museum?", "When was the museum founded?", "question"),
    ("How do I move abroad?", "Why do I move abroad?", "question"),
    ("How often does it rain?", "How does it rain?", "words"),
    ("Where can I vote?", "When can I vote?", "question"),
    ("Can I deduct the rent?", "Should I deduct the rent?", "question"),
    ("Who is the mayor?", "Who was the mayor?", "time"),
    ("What is my name?", "What is your name?", "person"),
    ("Who are you?", "How are you?", "words"),
    # another word
    ("Which plans allow 5 users?", "Which plans allow at most 5 users?", "words"),
    ("What is f(x)[0]?", "What is f(x){0}?", "sign"),
    ("How do I clean a leather sofa?", "How do I clean a velvet sofa?", "words"),
    ("Translate the letter", "Summarise the letter", "words"),
    ("What is the role of the public council?", "What is the role of the pubic council?", "words"),
    ("Is data protection hard?", "Is data projection hard?", "words"),
    ("Is the answer good?", "Is the answer?", "words"),
    # other scripts
    ("Как сварить рис?", "Как сварить гречку?", "word of another script"),
    ("今天天气怎么样", "明天天气怎么样", "word of another script"),
    ("नमक कितना डालें", "नमक कितनी डालें", "word of another script"),
    ("What is 10²?", "What is 10?", "word of another script"),
    # signs, number forms, operators; who does what to whom; case; another language
    ("temperature -5 C to F", "temperature 5 C to F", "number"),
    ("what is -5 + 3", "what is 5 + 3", "number"),
    ("what is 1e3", "what is 1e-3", "number"),
    ("What does .5 mean", "What does 5 mean", "number"),
    ("convert -40 C to F", "convert 40 C to F", "number"),
    ("what is 5 * -3", "what is 5 * 3", "number"),
    ("what is 2 to the -3", "what is 2 to the 3", "number"),
    ("integral from -1 to 1 of x", "integral from 1 to 1 of x", "number"),
    ("what is log2 of 8", "what is log 2 of 8", "number"),
    ("what is 2+3*4", "what is (2+3)*4", "sign"),
    ("How do I get a refund?", "How do I give a refund?", "words"),
    ("How do I get a loan?", "How do I give a loan?", "words"),
    ("Do you love me?", "Do I love you?", "person"),
    ("Do I have to file taxes?", "Do I get to file taxes?", "words"),
    ("Tell me about apple", "Tell me about Apple", "case"),
    ("Tell me about python", "Tell me about Python", "case"),
    ("Tell me about china", "Tell me about China", "case"),
    ("python", "Python", "case"),
    ("china", "China", "case"),
    ("Should I buy or rent", "Should I buy and rent", "words"),
    ("what are the best phones", "what are phones", "words"),
    ("¿Quién mató a Pedro?", "¿A quién mató Pedro?", "order"),
    ("Do I have to file taxes?", "Do I file taxes?", "words"),
    ("take care", "take care of it", "words"),
    ("Who loves you?", "Who do you love?", "person"),
    ("what is 5!", "what is 5", "sign"),
    ("what is 5 and -3", "what is -5 and 3", "number"),
    ("what is 5 - 3", "what is 5 3", "sign"),
    ("what is 10 - 4 + 2", "what is 4 - 10 + 2", "order"),
    ("what is 2^-3", "what is 2^3", "sign"),
    ("what is 5 × 3", "what is 5 ÷ 3", "word of another script"),
    ("Qui aime Marie?", "Marie aime qui?", "order"),
    ("what is H2O", "what is H 2 O", "number"),
    ("what is x-3 if x is 5", "what is x+3 if x is 5", "sign"),
]


@pytest.mark.parametrize(("asked", "kept"), SAME)
def test_nothing_speaks_against(asked: str, kept: str) -> None:
    assert differs(asked, kept) is None


@pytest.mark.parametrize(("asked", "kept", "kind"), DIFFERENT)
def test_differs_for_a_reason(asked: str, kept: str, kind: str) -> None:
    reason = differs(asked, kept)
    assert reason is not None
    assert reason.partition(":")[0] == kind


def test_courtesy_counts_where_there_is_nothing_else() -> None:
    assert differs("bye", "hi bye") is not None
    assert differs("bye", "Bye!") is None


def test_other_context_in_the_text_is_seen() -> None:
    """C3 is the key's business; a context pasted into the question itself is the verifier's."""
    assert differs("You are a lawyer. May I record calls?", "You are a nurse. May I record calls?") is not None


def test_tail_behind_a_long_shared_head_is_seen() -> None:
    """C4: an encoder that cuts its input sees these as one."""
    head = "The report says the following about the north region. " * 60
    assert len(head) < CHARS_MAX
    assert differs(head + "Summarise the costs.", head + "Summarise the revenue.") is not None


def test_over_the_bound_only_equality_will_do() -> None:
    text = "one word after the other " * 200
    assert len(text) > CHARS_MAX
    assert differs(text, text.replace(" ", "\n")) is None
    assert differs(text, text + "indeed") == f"length: over {CHARS_MAX} characters and not the same"


def test_reason_quotes_little_of_the_texts() -> None:
    reason = differs("What is a " + "word" * 100, "What is a " + "term" * 100)
    assert reason is not None
    assert len(reason) < 160


CHARACTERS = "abAI .,?!'\"`-_/@#$%()[]{}01289é½²ıß今का😀\u0301\u200d\ud800\n"
FRAGMENTS = (
    "not|n't| one |million |from | to |US |--a |what |how |does |more |less |http://|Please | and |first |thanks|twenty |$5 "
)
PIECES = st.sampled_from([*CHARACTERS, *FRAGMENTS.split("|")])
TEXTS = st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=40).map("".join))
SENTENCES = st.sampled_from([text for pair in SAME for text in pair] + [text for row in DIFFERENT for text in row[:2]])


@given(TEXTS, TEXTS)
def test_symmetric_and_total(asked: str, kept: str) -> None:
    assert differs(asked, kept) == differs(kept, asked)


@given(SENTENCES, SENTENCES)
def test_symmetric_on_sentences(asked: str, kept: str) -> None:
    assert differs(asked, kept) == differs(kept, asked)


@given(TEXTS)
def test_reflexive(text: str) -> None:
    assert differs(text, text) is None


@given(TEXTS)
def test_white_space_at_the_ends_does_not_count(text: str) -> None:
    assert differs(text, f" {text}\n") is None


@given(SENTENCES)
def test_courtesy_does_not_count(text: str) -> None:
    assert differs(text, f"Hello! {text} Thank you.") is None


@given(SENTENCES.filter(lambda text: len(text) < 400), st.integers(2, 10**12))
def test_another_number_always_counts(text: str, number: int) -> None:
    reason = differs(f"{text} {number} grams", f"{text} {number + 1} grams")
    assert reason is not None
    assert reason.startswith("number:")


@pytest.mark.parametrize("piece", ["a", "a.", "a_", "x@", '"', '" ', "--a ", "~/", "1,", "not ", "hi ", "𝔘 ", "one two ", "()"])
def test_work_is_bounded(piece: str) -> None:
    text = (piece * CHARS_MAX)[: CHARS_MAX - 1]
    began = time.process_time()
    differs(text, text[1:] + "z")
    assert time.process_time() - began < 0.5
