"""The word tables of the verifier: English, compact, read once. No rules here; classifiers/pairs/rules.py applies them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import Final


def _sets(table: str) -> list[frozenset[str]]:
    """One set a line or semicolon."""
    return [frozenset(row.split()) for row in table.replace(";", "\n").splitlines() if row.strip()]


def _pairs(table: str) -> frozenset[frozenset[str]]:
    """Every two words of a set."""
    return frozenset(frozenset(two) for row in _sets(table) for two in combinations(sorted(row), 2))


def partners(pairs: Iterable[frozenset[str]]) -> dict[str, frozenset[str]]:
    """Word to the words it is paired with; a pair of one word twice is none."""
    found: dict[str, set[str]] = {}
    for pair in pairs:
        for word in pair:
            found.setdefault(word, set()).update(pair - {word})
    return {word: frozenset(others) for word, others in found.items() if others}


def _firsts(table: str) -> dict[str, str]:
    """Word to the first word of its row."""
    rows = [row.split() for row in table.replace(";", "\n").splitlines() if row.strip()]
    return {word: row[0] for row in rows for word in row}


# Words that say how a thing is asked, not what. Nothing that turns an answer round may be here.
STOP: Final = frozenset(
    """
    a an the that those there here it its itself such
    i me my mine myself im ive id we us our ours ourselves you your yours u ur
    anyone anybody people guys folks
    am is are was were be been being isn are's do does did done doing has have having had can could shall should will would
    may might must ought let lets gonna wanna need needs needed
    what whats what's which who whom whose when where why how hows
    of in on at to from by for with about as into onto upon within among amongst toward towards between through per via
    and or nor but so if then than because whether while though although etc eg ie
    some any also too very really actually just even ever quite rather simply basically exactly currently presently
    please pls plz kindly thanks thank thx hi hello hey dear ok okay
    way ways reason reasons thing things stuff kind kinds sort sorts type types
    """.split()
)

# Stop words that steer: kept for the order of the words and for the role of the word after them.
STEER: Final = frozenset("from to into onto by for than if because then so as while when of with in on at about".split())
OPPOSED: Final = _pairs("from to; from into; by to; by for; from for")

JOINS: Final = frozenset("and or vs versus v nor plus between both either".split())

# Openings and closings that carry nothing, tried after the stop words `please`, `just`, ... are gone.
OPENINGS: Final = frozenset(
    tuple(phrase.strip().split())
    for phrase in """
    hi; hello; hey; hi there; hello there; good morning; good evening; please; kindly; thanks; dear; ok; okay; sorry
    excuse me; help; help me; please help; please help me; i need help; need help; can you help me; could you help me
    can someone help me; tell me; tell me about; can you tell me; could you tell me; would you tell me; can anyone tell me
    can someone tell me; can you please tell me; could you please tell me; would you please tell me; please tell me
    please tell me about; can you explain; could you explain; can you please explain; could you please explain
    please explain; explain; explain to me; can you explain to me; could you explain to me; can someone explain
    can anyone explain; can you show me; show me; please show me; i want to know; i wanted to know; i would like to know
    i'd like to know; i need to know; i wish to know; i am wondering; i'm wondering; i was wondering; i wonder
    just wondering; quick question; a quick question; i have a question; do you know; does anyone know; does anybody know
    can anyone please tell me; let me know; any idea; in your opinion; please let me know; can you please
    could you please; would you please
    """.replace("\n", ";").split(";")
    if phrase.strip()
)
CLOSINGS: Final = frozenset(
    tuple(phrase.strip().split())
    for phrase in """
    please; thanks; thank you; thanks a lot; many thanks; thanks in advance; thank you in advance; thank you very much
    thank you so much; cheers; thx; please explain; explain; please help; please help me; help me; help; i'd like to know
    i would like to know; i want to know; please tell me; tell me; let me know; please let me know; please advise
    bye; bye bye; goodbye
    please answer; any ideas; any idea; any help is appreciated; any help would be appreciated; in your opinion
    can you explain; could you explain; can you help; can you help me; could you help me
    """.replace("\n", ";").split(";")
    if phrase.strip()
)

PHRASE_WORDS_MAX: Final = max(len(phrase) for phrase in OPENINGS | CLOSINGS)
OPENING_WORDS: Final = frozenset(phrase[0] for phrase in OPENINGS)
CLOSING_WORDS: Final = frozenset(phrase[-1] for phrase in CLOSINGS)

NEGATIONS: Final = frozenset(
    """not no never cannot n't nor neither none nobody nothing nowhere nope cant dont doesnt didnt wont isnt arent wasnt werent
    hasnt havent hadnt shouldnt wouldnt couldnt mustnt aint""".split()
)
DENIALS: Final = frozenset("without except unless non un only against".split())

# Question words and what they ask for; an auxiliary that opens a text without one.
ASKS: Final = _firsts(
    """
    who whom whose who's who'll who'd; when when's; where wheres where's; why whys why's; how hows how's how'd
    what what's whats which what're
    """
)
LEADS: Final = _firsts(
    """
    is is are am was were do does did has have had isn't aren't don't doesn't didn't wasn't weren't hasn't haven't
    can can could may might can't couldn't; should should must ought shall shouldn't; will will would won't wouldn't
    """
)
DEGREES: Final = frozenset("much many long often far old tall big large small fast high deep heavy wide soon early late".split())
WHEN: Final = frozenset("time year date day month".split())
BEST: Final = frozenset("best good great top".split())  # of a way they say nothing: "the best way to" is how
WAYS: Final = frozenset("way ways step steps method methods procedure feel".split())
REASONS: Final = frozenset("reason reasons".split())
PERSONS: Final = _firsts(
    """
    me i my mine myself i'm i've i'd i'll im ive we us our ours ourselves we're we've
    you your yours yourself u ur you're you've
    """
)
# Who does it to whom: these have a place in the sentence; "my" and "your" go with their noun.
SUBJECTS: Final = frozenset("i we me us you u i'm i've i'd i'll ive im we're we've you're you've".split())
POINTING: Final = frozenset("it that those there here".split())
OBLIGED: Final = frozenset("have has had need needs needed".split())  # before "to"
PAST: Final = frozenset("did was were had didn't wasn't weren't hadn't".split())

SMALL: Final = {
    word: str(value)
    for value, word in enumerate(
        """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
        eighteen nineteen""".split()
    )
}
TENS: Final = dict(zip("twenty thirty forty fifty sixty seventy eighty ninety".split(), range(20, 100, 10), strict=True))
ORDINALS: Final = dict(
    zip(
        "first second third fourth fifth sixth seventh eighth ninth tenth".split(),
        "1st 2nd 3rd 4th 5th 6th 7th 8th 9th 10th".split(),
        strict=True,
    )
)
NUMERALS: Final = SMALL | {word: str(value) for word, value in TENS.items()} | ORDINALS
TIMES: Final = {"hundred": 100, "thousand": 1000, "k": 1000, "lakh": 10**5, "million": 10**6, "crore": 10**7, "billion": 10**9}
ENDINGS: Final = frozenset("st nd rd th".split())
# Letters that may stand at a number with or without a blank; other letters make another token of it: 3d, 1e3, 0x10.
UNITS: Final = frozenset(
    """am pm g mg m s h min l ml oz w kw kwh mw v hz khz mhz ghz kb mah px c f bn rs usd inr eur gbp km kms kg kgs cm mm lb lbs ft
    hr hrs mins sec secs gb mb tb ms yr yrs mi k percent inch inches""".split()
)

# Function words of other languages in Latin letters that are no English words.
FOREIGN: Final = frozenset(
    """el los las que por para con una unos del y quien como donde cuando cual este esta es en al su se lo mi tu
    der den dem und ist ein eine einen nicht von mit wer wie wo warum wann zu auf sind ich du er sie wir ihr
    le la les des et est une dans pour sur avec qui quoi comment pourquoi ou je il elle nous vous ce cette
    gli di che chi non perche sono dei della nel cosa dove het een van niet voor wat wie hoe waarom ik jij zijn
    os um uma com quem onde como nao da dos na siapa yang dan di apa ini itu dengan untuk och att som det inte""".split()
)
# Stop words that are words of those languages too, and so say nothing of a text's language.
SHARED: Final = frozenset("a an me i in on so as to am was do is or no per des u ur us up here dear hey hi hello ok who".split())

# Spelling and near-synonyms, each row reduced to its first word; looked up before and after stemming.
SAME: Final = _firsts(
    """
    % percent percents pct percentage; $ dollar dollars usd bucks; € euro euros eur; £ gbp; ₹ rs rupee rupees inr
    ¥ yen jpy; km kilometer kilometers kilometre kilometres kms; kg kilogram kilograms kgs kilo kilos; mile miles mi
    cm centimeter centimeters centimetre centimetres cms; mm millimeter millimeters millimetre millimetres
    lb lbs pound pounds; ft foot feet; hour hours hr hrs; minute minutes mins; second seconds sec secs
    gb gigabyte gigabytes; mb megabyte megabytes; tb terabyte terabytes; ms millisecond milliseconds; year years yr yrs
    usa america; uk britain; india bharat; math maths mathematics; color colour; favorite favourite fav; center centre
    program programme; gray grey; defense defence; this these; someone somebody person; everyone everybody
    license licence; practice practise; theater theatre; catalog catalogue; dialog dialogue; check cheque
    judgment judgement; aluminum aluminium; traveling travelling; canceled cancelled; modeling modelling
    jewelry jewellery; tire tyre; analyze analyse; photo picture photograph pic image; movie film
    phone mobile cellphone smartphone cell; tv television; pc computer; company firm corporation; car automobile
    bike bicycle; kid child children; man men; wife wives; life lives; tooth teeth; mouse mice; phenomenon phenomena
    criterion criteria; analysis analyses; index indices indexes; buy purchase bought
    delete remove erase removed deleted removing; fix repair solve resolve; begin start began begun
    quick fast rapid quickly; easy simple easily; big large huge; smart intelligent clever; hard difficult tough
    rich wealthy; recover restore retrieve; happen occur happened; end finish; speak talk spoke spoken
    choose select chose chosen; own possess; make create made earn; learn learnt; meaning mean meant define definition
    difference differ different distinguish distinction; importance important significance; good best great greatest top
    know knew known tell told; watch see saw seen; woman women female; below under; site website; describe explain
    benefit advantage pro; disadvantage drawback downside con; cost price; salary pay wage; opinion think view thought
    city town; job career; university college; effect impact; find found; send sent; go went gone
    take took taken; give gave given; get got gotten
    write wrote written; eat ate eaten; build built; lose lost; win won; feel felt
    keep kept; leave left; lie lied; teach taught; say said; sell sold; run ran; drive drove driven; fly flew flown
    grow grew grown; become became; come came; break broke broken; improve enhance; increase boost; maximum max maximal
    minimum min minimal; info information; app application; ai; ml; js javascript; db database; config configuration
    docs documentation; repo repository; admin administrator; example instance sample; famous popular; beautiful pretty
    happy glad; sad unhappy; afraid scared; earth globe planet
    """
)

# What is done with a text as it stands, so that its every letter counts.
VERBATIM: Final = frozenset(
    """translate rewrite spell spelling letters uppercase lowercase capitalize proofread grammar punctuation rhymes rhyme reverse
    count comma pronounce synonyms rephrase""".split()
)

UNSTEMMED: Final = frozenset("news united evening morning wedding during series species lens physics being".split())

# Words too weak to make another question, if only one side has them.
SOFT: Final = frozenset("most become feel consider possible truly main their world available".split())

ANTONYMS: Final = _pairs(
    """
    maximum minimum; increase decrease; increase reduce; raise lower; rise fall; grow shrink; before after; first last
    first 2nd; 1st last; 1st final; more less; more fewer; most least; many few; best worst; better worse; good bad
    good evil; great terrible; buy sell; enable disable; begin stop; begin end; start finish; open close; open shut
    import export; left right; right wrong; encode decode; encrypt decrypt; compress decompress; serialize deserialize
    upload download; push pull; send receive; lend borrow; give take; add delete; add subtract; insert delete
    attach detach; connect disconnect; install uninstall; mount unmount; lock unlock; load unload; pack unpack; zip unzip
    wrap unwrap; bind unbind; block unblock; follow unfollow; mute unmute; subscribe unsubscribe; do undo
    activate deactivate; allow deny; allow forbid; allow block; allow prevent; permit forbid; accept reject; accept refuse
    accept decline; approve reject; agree disagree; like dislike; like hate; love hate; up down; upgrade downgrade; on off
    in out; inside outside; above below; over under; top bottom; upper lower; high low; higher lower; highest lowest
    tall short; long short; big small; large little; wide narrow; thick thin; deep shallow; heavy light; fat thin
    strong weak; hard soft; hard easy; hot cold; warm cool; wet dry; quick slow; early late; earlier later; new old
    young old; younger older; modern ancient; rich poor; cheap expensive; empty full; dark light; black white; clean dirty
    safe dangerous; true false; positive negative; plus minus; multiply divide; win lose; gain lose; success failure
    succeed fail; pass fail; profit loss; asset liability; income expense; credit debit; supply demand
    benefit disadvantage; strength weakness; male female; man woman; boy girl; boyfriend girlfriend; husband wife
    father mother; son daughter; brother sister; he she; his her; king queen; mom dad; uncle aunt; parent kid
    teacher student; doctor patient; employer employee; buyer seller; client server; day night; morning evening
    summer winter; spring autumn; north south; east west; northern southern; eastern western; always never; all none
    every no; internal external; include exclude; public private; local remote; online offline; indoor outdoor
    static dynamic; sync async; synchronous asynchronous; horizontal vertical; row column; ascending descending
    prefix suffix; input output; read write; get put; show hide; save delete; save spend; remember forget; build destroy
    create destroy; war peace; friend enemy; life death; live die; born die; alive dead; marry divorce; arrive depart
    arrive leave; come go; enter exit; enter leave; expand contract; expand collapse; forward backward; forwards backwards
    clockwise anticlockwise; clockwise counterclockwise; ancestor descendant; parent child; same different; legal illegal
    possible impossible; able unable; happy sad; beautiful ugly; optimist pessimist; attack defend; guilty innocent
    love fear; liberal conservative; left-wing right-wing; hardware software; question answer; cause effect; cause prevent
    cause cure; ask answer; theory practice; real fake; natural artificial; original copy; major minor; majority minority
    bull bear; bullish bearish; hire fire; permanent temporary; odd even; single married; single multiple; single double
    half double; fiction nonfiction; introvert extrovert; inhale exhale; hypertension hypotension
    hyperthermia hypothermia; hyperglycemia hypoglycemia; mitosis meiosis; microeconomics macroeconomics
    internet intranet; interstate intrastate; immigration emigration; immigrate emigrate; immigrant emigrant
    explicit implicit; convex concave
    """
)

# Real words one slip apart: never a spelling variant of each other.
SPELLING_MIN: Final = 5  # letters; shorter words are one slip from too many others
CONFUSED: Final = _pairs(
    """
    angel angle; trial trail; diary dairy; quiet quite; except expect; accept except; casual causal; marital martial
    united untied; sacred scared; silver sliver; desert dessert; public pubic; mental metal medal; county country
    moral morale mortal; breath breathe; statue statute status; through thorough though thought; price prize pride
    horse house; affect effect; personal personnel; human humane; single signal; loose lose; cloth clothe
    plane planet plan; story store; india indian; china chinese; niger nigeria; reserve reverse; beard bread board
    heard heart heat; world word; later latter; lather leather; winter winner; letter litter; batter better butter bitter
    costume custom; costumer customer; invert invest; insure ensure; illicit elicit; allusion illusion; adapt adopt
    adoption adaption; advice advise; council counsel; course coarse; dairy daily; decent descent; device devise
    exercise exorcise; farther further father; former farmer; genus genius; liter litter; lunch launch; message massage
    minister monster; passed paused; patient patent; planing planning; police policy; poison prison; possible passible
    preform perform; prescribe proscribe; precede proceed; principal principle; question equation; scene scent
    stationary stationery; straight strait; sweat sweet; tanks thanks; terrible terribly; weather whether; where were
    wonder wander; wound would
    """
)
