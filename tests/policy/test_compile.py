"""From a file to a policy: what can be known to be wrong before a request is said before a request, with its line."""

import pytest

from gateway.policy import schema_models
from gateway.policy.catalog import BusyPrice, TokenPrice
from gateway.policy.model import Retry, Timeouts
from tests.policy.sample import FAQ, HEAD, PRICE, SAMPLE, compiled, line_of, only_problem, problems

PLAIN = HEAD + "routes:\n  - {name: rest, model: strong}\n"


def test_sample_compiles() -> None:
    policy = compiled(SAMPLE)
    assert [r.name for r in policy.routes] == ["talk", "private", "tools", "fixed", "easy", "rest"]
    assert policy.needs == {"class", "confidence", "model", "pii", "has_tools", "tag.data", "tag.app", "tokens_in"}
    assert [r.uses_class for r in policy.routes] == [True, False, False, False, True, False]


def test_only_what_the_policy_looks_at_is_needed() -> None:
    assert compiled(PLAIN.replace(", context: 1000", "")).needs == frozenset()
    assert compiled(PLAIN).needs == {"tokens_in"}


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("provider: near", "provider: neer", "model 'small': provider 'neer' is not defined; did you mean 'near'?"),
        ("classifier: {}", "baseline: strng", "model 'strng' is not defined; did you mean 'strong'?"),
        ("true}, model: strong", "true}, model: z", "model 'z' is not defined; known: small, strong, backup"),
        ("fallback: [backup]", "fallback: [bakup]", "model 'bakup' is not defined; did you mean 'backup'?"),
        ("{model: backup, weight: 10}", "{model: backp, weight: 10}", "model 'backp' is not defined; did you mean 'backup'?"),
        ("faq: faq.yaml", "faq: fak.yaml", "cannot read FAQ file 'fak.yaml': No such file or directory"),
    ],
)  # fmt: skip
def test_dangling_reference_is_refused_with_its_line(right: str, wrong: str, said: str) -> None:
    found = problems(SAMPLE.replace(right, wrong))
    assert f"p.yaml:{line_of(SAMPLE, right)}: {said}" in found


def test_dangling_reference_in_a_test_is_refused() -> None:
    tests = (
        "tests:\n  - {prompt: hi, expect: {route: eazy}}\n  - {prompt: hi, expect: {model: smal}}\n  - {prompt: hi, expect: {}}\n"
    )
    assert problems(SAMPLE + tests) == [
        "p.yaml:18: route 'eazy' is not defined; did you mean 'easy'?",
        "p.yaml:19: model 'smal' is not defined; did you mean 'small'?",
        "p.yaml:20: expects nothing, so it cannot fail; name a route, class, model or cache",
    ]


def test_test_may_expect_a_model_named_outright() -> None:
    assert problems(SAMPLE + "tests:\n  - {prompt: hi, model: small, expect: {route: direct}}\n") == []


def test_faq_that_is_not_text_is_refused() -> None:
    class Latin1(dict[str, str]):
        def __getitem__(self, name: str) -> str:
            return b"caf\xe9".decode()

    found = problems(SAMPLE, files=Latin1({"faq.yaml": ""}))
    assert len(found) == 1
    assert "cannot read FAQ file 'faq.yaml': 'utf-8' codec can't decode" in found[0]


def test_problems_of_a_faq_are_told_once_though_two_routes_use_it() -> None:
    twice = SAMPLE.replace("routes:\n", "routes:\n  - {name: first, when: {turns: 1}, answer: {faq: faq.yaml}}\n")
    assert len(problems(twice, files={"faq.yaml": FAQ.replace("id: greeting", "id: '!'")})) == 1


def test_class_without_a_classifier_is_refused() -> None:
    found = problems(SAMPLE.replace("classifier: {}\n", ""))
    assert [p.partition(": ")[2] for p in found] == [
        "`class` and `confidence` need a `classifier:` section, as `classifier: {}`"
    ] * 2


def test_duplicate_route_is_refused_with_both_lines() -> None:
    text = HEAD + "routes:\n  - {name: a, when: {turns: 1}, model: small}\n  - {name: a, model: strong}\n"
    assert only_problem(text) == "p.yaml:12: duplicate route `a`, first given in line 11; rename one"


@pytest.mark.parametrize("name", ["direct"])
def test_reserved_route_name_is_refused(name: str) -> None:
    assert "what requests that name a model outright are booked under" in only_problem(
        PLAIN.replace("name: rest", f"name: {name}")
    )


def test_model_called_auto_is_refused() -> None:
    found = only_problem(PLAIN.replace("  small:", "  auto:"))
    assert "`auto` is the name of the policy's own choice" in found


def test_last_route_has_no_when() -> None:
    found = only_problem(HEAD + "routes:\n  - {name: a, when: {turns: 1}, model: small}\n")
    assert found == "p.yaml:11: the last route is the default and has no `when`; add one behind 'a'"


def test_faq_cannot_be_the_default() -> None:
    found = only_problem(HEAD + "routes:\n  - {name: a, answer: {faq: faq.yaml}}\n")
    assert "a FAQ cannot be the default" in found


UPPER_TAKES_ALL = [
    ("model: small", "when: {turns: 1}, model: strong"),
    ("when: {turns: 1}, model: small", "when: {turns: 1}, model: strong"),
    ("when: {turns: 1}, model: small", "when: {turns: 1, pii: true}, model: strong"),
    ("when: {any: [{pii: true}]}, model: small", "when: {pii: true, any: [{pii: true}]}, model: strong"),
    ("when: {turns: 1}, answer: {static: hi}", "when: {turns: 1}, model: strong"),
]
BOTH_REACHED = [
    ("when: {turns: 1}, model: small", "when: {turns: 2}, model: strong"),
    ("when: {turns: 1, pii: true}, model: small", "when: {turns: 1}, model: strong"),
    ("when: {turns: 1}, answer: {faq: faq.yaml}", "when: {turns: 1}, model: strong"),
    ("answer: {faq: faq.yaml}", "when: {turns: 1}, model: strong"),
]


@pytest.mark.parametrize(("upper", "lower"), UPPER_TAKES_ALL)
def test_route_that_is_never_reached_is_refused(upper: str, lower: str) -> None:
    text = HEAD + f"routes:\n  - {{name: u, {upper}}}\n  - {{name: l, {lower}}}\n  - {{name: rest, model: strong}}\n"
    assert "p.yaml:12: route 'l' is never reached: 'u' above it takes all of it" in problems(text)


@pytest.mark.parametrize(("upper", "lower"), BOTH_REACHED)
def test_route_that_is_reached_is_not_refused(upper: str, lower: str) -> None:
    text = HEAD + f"routes:\n  - {{name: u, {upper}}}\n  - {{name: l, {lower}}}\n  - {{name: rest, model: strong}}\n"
    assert problems(text) == []


# Prices.


def test_price_comes_from_the_map() -> None:
    text = PLAIN.replace(", price: {input: 3, output: 15}", "")
    assert compiled(text, prices={"gpt": PRICE}).models["strong"].price == PRICE


def test_unpriced_model_is_refused_with_the_lines_to_paste() -> None:
    text = PLAIN.replace(", price: {input: 3, output: 15}", "")
    (found,) = problems(text)
    assert found.startswith(f"p.yaml:{line_of(text, 'strong:')}: model 'strong': 'gpt' has no price in the price map.")
    for line in (
        "price: {input: …, output: …}",
        "gpu: {usd_per_hour: …, count: 1, tokens_per_second: measured}",
        "price: unknown",
    ):
        assert line in found
        pasted = line.replace("…", "1")
        assert problems(text.replace("id: gpt", f"id: gpt, {pasted}")) == []


def test_given_price_is_in_pico_usd_a_token_and_beats_the_map() -> None:
    policy = compiled(SAMPLE, prices={"gpt": PRICE, "other": PRICE})
    assert policy.models["strong"].price == TokenPrice(3_000_000, 15_000_000, 3_000_000, 3_000_000, "policy")
    assert policy.models["backup"].price == TokenPrice(1_000_000, 2_000_000, 500_000, 1_000_000, "policy")


def test_price_unknown_is_none() -> None:
    assert compiled(SAMPLE, prices={"tiny": PRICE}).models["small"].price is None


def gpu(spec: str) -> object:
    return compiled(PLAIN.replace("price: unknown", f"gpu: {{{spec}}}")).models["small"].price


def test_measured_machine_costs_by_the_second_all_gpus_together() -> None:
    assert gpu("usd_per_hour: 3.6") == BusyPrice(1_000_000_000, "GPU-hours, measured")
    assert gpu("usd_per_hour: 3.6, count: 4, tokens_per_second: measured") == BusyPrice(4_000_000_000, "GPU-hours, measured")


@pytest.mark.parametrize("count", [1, 8])
def test_given_speed_is_of_one_gpu_so_their_number_cancels_out(count: int) -> None:
    # 3.60 USD an hour are 0.001 USD a second: 1 µUSD a token at 1000 tokens a second, 20 µUSD at 50.
    price = gpu(f"usd_per_hour: 3.6, count: {count}, tokens_per_second: {{input: 1000, output: 50}}")
    assert price == TokenPrice(1_000_000, 20_000_000, 1_000_000, 1_000_000, "GPU-hours, given speed")


# The environment.


def with_key(key: str) -> str:
    return PLAIN.replace('api_key: "sk-1"', f'api_key: "{key}"')


def test_variables_are_taken_from_the_environment() -> None:
    policy = compiled(with_key("a${KEY}b${OTHER:-c}"), env={"KEY": "1"})
    assert policy.providers["far"].api_key == "a1bc"  # type: ignore[union-attr]
    assert policy.unavailable == {}


def test_unset_variable_makes_the_provider_unavailable_not_the_policy_wrong() -> None:
    assert compiled(with_key("${KEY}")).unavailable == {"far": "KEY is not set"}
    assert compiled(with_key("${KEY}"), env={"KEY": ""}).unavailable == {"far": "KEY is not set"}


@pytest.mark.parametrize("env", [{}, {"KEY": ""}])
def test_default_stands_in_for_an_unset_variable(env: dict[str, str]) -> None:
    policy = compiled(with_key("${KEY:-sk-default}"), env=env)
    assert policy.providers["far"].api_key == "sk-default"  # type: ignore[union-attr]
    assert compiled(with_key("${KEY:-}"), env=env).unavailable == {}


def test_variables_work_in_headers_and_addresses() -> None:
    text = PLAIN.replace("https://api.example.com/v1", "http://${HOST}/v1").replace(
        "api_key:", 'headers: {x-a: "${A}"}, api_key:'
    )
    policy = compiled(text, env={"HOST": "h:1", "A": "b"})
    assert policy.providers["far"].base_url == "http://h:1/v1"  # type: ignore[union-attr]
    assert policy.providers["far"].headers == {"x-a": "b"}  # type: ignore[union-attr]


def test_address_that_is_not_known_here_leaves_the_price_open() -> None:
    text = PLAIN.replace("https://api.example.com/v1", "${URL}").replace(", price: {input: 3, output: 15}", "")
    policy = compiled(text)
    assert policy.unavailable == {"far": "URL is not set"}
    assert policy.models["strong"].price is None


@pytest.mark.parametrize("text", ["${", "${}", "${1A}", "${A", "${A-b}", "a${B}${", "${A:b}"])
def test_variable_that_cannot_be_read_is_refused(text: str) -> None:
    found = only_problem(with_key(text))
    assert found.startswith(f"p.yaml:{line_of(PLAIN, 'api_key')}: cannot read the variable in ")
    assert "write ${NAME} or ${NAME:-default}" in found


@pytest.mark.parametrize(
    "url", ["api.example.com", "ftp://x/v1", "http://", "http://[x/v1", "http://x:port/v1", "http://a b/v1", ""]
)
def test_address_that_is_none_is_refused(url: str) -> None:
    found = only_problem(PLAIN.replace("https://api.example.com/v1", url))
    assert found == f"p.yaml:4: {url!r} is not an http:// or https:// address"


def test_secrets_of_the_environment_are_in_no_message() -> None:
    text = with_key("${KEY}${").replace("model: strong}", "model: strng}")
    assert "hunter2" not in "".join(problems(text, env={"KEY": "hunter2"}))


# The hash and the defaults.


def test_hash_is_that_of_the_text_and_its_faqs() -> None:
    first = compiled(SAMPLE).hash
    assert compiled(SAMPLE, env={"KEY": "x"}, prices={"tiny": PRICE}).hash == first
    assert compiled(SAMPLE + "\n").hash != first
    assert compiled(SAMPLE, files={"faq.yaml": FAQ + "\n"}).hash != first


def test_route_takes_from_the_defaults_what_it_does_not_say() -> None:
    defaults = "defaults: {timeouts: {total: 9s}, retry: {attempts: 5}, cache: {mode: exact, ttl: 5m, scope: team}}\n"
    text = HEAD + defaults + "routes:\n  - {name: rest, model: strong, retry: {backoff: 1s}, cache: {mode: semantic}}\n"
    policy = compiled(text)
    route = policy.routes[0]
    assert policy.retry == Retry(attempts=5)
    assert route.timeouts == policy.timeouts == Timeouts(total_s=9.0)
    assert route.retry == Retry(attempts=5, backoff_s=1.0)
    assert (route.cache.mode, route.cache.ttl_s, route.cache.scope) == ("semantic", 300.0, "team")


def cached(route: str, top: str = "") -> list[str]:
    """The problems of a policy with one route's `cache:` and with `cache:` of all routes."""
    text = HEAD + top + f"routes:\n  - {{name: rest, model: strong, cache: {route}}}\n"
    return problems(text)


@pytest.mark.parametrize(
    ("route", "key", "mode"),
    [
        ('{mode: "off", ttl: 1h}', "ttl", "off"),
        ('{mode: "off", scope: team}', "scope", "off"),
        ("{mode: exact, false_hit_budget: 0.01}", "false_hit_budget", "exact"),
        ("{mode: exact, audit: 0.01}", "audit", "exact"),
        ("{mode: exact, min_similarity: 0.8}", "min_similarity", "exact"),
    ],
)
def test_key_of_the_cache_that_its_mode_does_not_use_is_refused(route: str, key: str, mode: str) -> None:
    (found,) = cached(route)
    assert found.endswith(f"`{key}` has no effect with `mode: {mode}`; remove it, or change the mode")


def test_what_the_cache_of_all_routes_names_must_be_there() -> None:
    semantic = "{mode: semantic}"
    assert cached(semantic, "cache: {judge: strong}\n") == []
    (found,) = cached(semantic, "cache: {judge: nobody}\n")
    assert "model 'nobody'" in found
    (found,) = cached(semantic, "cache: {embedder: {model: nobody}}\n")
    assert "model 'nobody'" in found
    (found,) = cached("{mode: exact}", "cache: {judge: strong}\n")
    assert "has no effect: no route has `cache: {mode: semantic}`" in found


def test_embeddings_are_asked_of_priced_models_of_the_openai_kind_only() -> None:
    models = HEAD.replace("models:\n", "models:\n  free: {provider: far, id: e, price: unknown}\n", 1)
    assert models != HEAD
    rest = "routes:\n  - {name: rest, model: strong, cache: {mode: semantic}}\n"
    assert problems(models + "cache: {embedder: {model: strong, dimensions: 256}}\n" + rest) == []
    (found,) = problems(models + "cache: {embedder: {model: free}}\n" + rest)
    assert "has `price: unknown`" in found
    found, _ = problems(models + "cache: {embedder: {model: small}}\n" + rest)  # which has no price either
    assert "of kind `fake`; embeddings are asked of kind `openai` only" in found


LITELLM = """version: 1
providers: {b: {kind: litellm, litellm_provider: bedrock, params: {aws_region_name: "${REGION}", aws_session_token: t}}}
models: {m: {provider: b, id: x, price: unknown}}
routes: [{name: all, model: m}]
"""


def test_what_litellm_needs_besides_comes_from_the_environment_too() -> None:
    provider = compiled(LITELLM, env={"REGION": "eu-west-1"}).providers["b"]
    assert isinstance(provider, schema_models.LiteLLMProvider)
    assert provider.params.given() == {"aws_region_name": "eu-west-1", "aws_session_token": "t"}
    assert compiled(LITELLM).unavailable == {"b": "REGION is not set"}


def test_nothing_else_can_be_handed_to_litellm() -> None:
    """Among its arguments are some that would change whom it asks, or what it does with the answer."""
    [found] = problems(LITELLM.replace("aws_session_token", "mock_response"))
    assert "mock_response" in found
