"""Words by what they are a sign of. Apart from the features that count them, which need numpy."""

from typing import Final

# Each word is in one group; the first group that lists it keeps it.
GROUPS: Final[dict[str, str]] = {
    "greeting": "hi hello hey hiya heya howdy yo hola greetings morning evening afternoon helo hallo sup g'day gday "
    "hullo aloha bonjour salut ciao whassup wassup whatsup namaste",
    "thanks": "thanks thank thx ty cheers thankyou tysm appreciate appreciated grateful merci gracias danke tnx thnx",
    "farewell": "bye goodbye cya farewell goodnight later ttyl byebye seeya adios tata cheerio",
    "filler": "there again everyone all folks mate buddy pal friend bot robot assistant chatbot dear sir so much very "
    "good nice great cool awesome ok okay lovely perfect lol haha please pls plz day night tonight today tomorrow soon "
    "see meet meeting talk take care well doing going how's what's are is how it things up",
    "addressed": "you your yours yourself u ur you're",
    "first_person": "i me my mine we our us i'm i've i'd i'll",
    "hard_verb": "prove derive implement design analyse analyze optimise optimize debug refactor architect evaluate "
    "critique formalise formalize justify synthesise synthesize diagnose formulate devise deduce infer model simulate "
    "verify reconcile assess disprove generalise generalize investigate benchmark parallelise parallelize reason "
    "argue refute negotiate migrate troubleshoot construct",
    "easy_verb": "translate summarise summarize rewrite rephrase paraphrase list name spell define correct convert "
    "shorten tell give show remind capitalise capitalize proofread extract classify sort suggest set play book turn "
    "call order cancel check add find remove",
    "explain_verb": "explain compare describe discuss contrast outline elaborate interpret write create build develop "
    "generate compute calculate solve determine estimate code program",
    "asking": "what which who whom whose when where what're",
    "why_how": "why because therefore hence thus consequently since implies whether suppose assume",
    "constraint": "must exactly without only least most within ensure constraint constraints satisfy satisfies satisfying "
    "subject requirement requirements limit avoid unless except given precisely never always should cannot strictly",
    "maths": "theorem lemma proof integral derivative equation equations polynomial matrix matrices eigenvalue eigenvalues "
    "prime primes infinitely finite converge converges convergence continuous bounded inequality modulo integer integers "
    "rational irrational vector topology group ring field homomorphism isomorphism bijection probability distribution "
    "variance expectation expected induction contradiction asymptotic gradient differential differentiable function "
    "functions graph vertices edges cardinality countable uncountable sequence series limit sum closed-form closed",
    "programming": "def class import return const let var async await struct enum algorithm algorithms complexity thread "
    "threads concurrent concurrency mutex deadlock lock lock-free race distributed consensus compiler parser recursion "
    "recursive pointer memory cache database sql query queries schema api server python java javascript typescript rust "
    "golang kotlin c++ bash docker kubernetes regex script loop array string null exception stack queue tree hash kernel "
    "latency throughput transaction transactions idempotent consistency microservice microservices pipeline tensor",
    "expert": "clause contract liability statute jurisdiction plaintiff defendant tort indemnity negligence fiduciary "
    "patient diagnosis differential symptoms contraindicated dosage renal hepatic hypertension prognosis pathology mg "
    "hedge derivative valuation portfolio amortisation gdpr compliance regulation regulatory merger breach litigation "
    "hypothesis causal confounding regression quantum thermodynamic entropy relativity enzyme protein genome",
    "small_topic": "weather time date capital recipe synonym antonym email joke poem haiku sentence word title caption "
    "colour color country city president year meaning",
}
