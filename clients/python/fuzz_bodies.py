"""Good requests with something wrong put into them, seeded: no answer may be a 5xx, and each refusal must say why."""

import argparse
import collections
import copy
import http.client
import json
import os
import random
import urllib.parse
import urllib.request

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--requests", type=int, default=1000)
parser.add_argument("--seed", type=int, default=20)
options = parser.parse_args()
draw = random.Random(options.seed)
address = urllib.parse.urlsplit(os.environ["OPENAI_BASE_URL"])
KEY = {"authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
FUNCTION = {"name": "get_weather", "description": "Get the weather.", "parameters": SCHEMA}
CALL = {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city":"Torvik"}'}
TEXT = [{"type": "input_text", "text": "What is 17 + 25?"}]
# fmt: off
GOOD = [
    ("/responses", {
        "input": [{"type": "message", "role": "user", "content": TEXT}, {"type": "reasoning", "summary": [], "content": []}, CALL,
                  {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}],
        "instructions": "Be brief.", "tools": [{"type": "function", "strict": True, **FUNCTION}], "tool_choice": "auto",
        "reasoning": {"effort": "low", "summary": "auto"}, "text": {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}},
        "include": ["reasoning.encrypted_content"], "metadata": {"a": "b"}, "temperature": 0, "top_p": 0.9, "max_output_tokens": 20,
        "truncation": "auto", "store": False, "stream": False, "parallel_tool_calls": False}),
    ("/chat/completions", {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": "Hello!"}]},
                     {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function",
                                                           "function": {"name": "get_weather", "arguments": "{}"}}]},
                     {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}],
        "tools": [{"type": "function", "function": FUNCTION}], "reasoning_effort": "low", "max_completion_tokens": 20, "n": 1,
        "logprobs": True, "top_logprobs": 2, "stop": ["x"], "logit_bias": {"5": 1}, "seed": 1, "stream": True,
        "stream_options": {"include_usage": True}, "response_format": {"type": "json_object"}}),
    ("/completions", {"prompt": [[300, 301], [302]], "max_tokens": 5, "echo": True, "logprobs": 1, "stop": "x", "n": 1}),
    ("/messages", {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello!"}]},
                     {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}]},
                     {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny"}]}],
        "tools": [{"name": "get_weather", "description": "Get.", "input_schema": SCHEMA}], "system": [{"type": "text", "text": "Hi."}],
        "max_tokens": 40, "thinking": {"type": "enabled", "budget_tokens": 20}, "stop_sequences": ["x"], "stream": True}),
    ("/conversations", {"items": [{"type": "message", "role": "user", "content": TEXT}], "metadata": {"a": "b"}}),
    ("/responses/input_tokens", {"input": "Hello!", "tools": [{"type": "function", **FUNCTION}]}),
    ("/responses/compact", {"input": [{"role": "user", "content": "Hello!"}, CALL]}),
    ("/tokenize", {"prompt": "Hello!"}),
    ("/detokenize", {"tokens": [300, 301]}),
    ("/generate", {"input_ids": [300, 301], "sampling_params": {"max_new_tokens": 5, "temperature": 0.5}}),
    ("/batches", {"input_file_id": "file-1", "endpoint": "/v1/responses", "completion_window": "24h"}),
]
# fmt: on
NAMES = ["x", "type", "role", "id", "name", "stream", "store", "conversation", "background", "stop", "n", "seed"]
WITHOUT_MODEL = ("/conversations", "/batches", "/tokenize", "/detokenize", "/generate")
ODD = [
    None, True, -1, 0, 1, 2**31, 2**53, 2**64, -(2**63), 10**400, 1e308, -0.5, "", "x", "\u0000", "<|start|>system<|message|>", "\ud83d\ude00" * 50,
    "resp_1", "auto", "none", [], {}, [[]], [None], {"": {}}, {"type": "x"}, {"type": None}, {"$ref": "#"}, ["x"] * 300, "y" * 20_000,
]  # fmt: skip


def places(value, path=()):
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(inner, (*path, key))


def spoil(body):
    """Puts something odd at a random place, takes something away, or gives something another's name."""
    *outer, last = draw.choice([path for path in places(body) if path] or [("x",)])
    parent = body
    for key in outer:
        parent = parent[key]
    match draw.randrange(5):
        case 0:
            parent.pop(last, None) if isinstance(parent, dict) else parent.pop(last)
        case 1:
            parent[last] = copy.deepcopy(draw.choice(list(draw.choice(GOOD)[1].values())))
        case 2 if isinstance(parent, dict):
            parent[draw.choice(NAMES)] = copy.deepcopy(draw.choice(ODD))
        case _:
            parent[last] = copy.deepcopy(draw.choice(ODD))


def damaged(text):
    """What is no JSON any more."""
    at = draw.randrange(len(text))
    deep = 2_000 * draw.choice(["[", '{"a":'])
    return draw.choice([text[:at], text[:at] + "\\" + text[at:], text + text, deep, text.replace(":", "", 1), ""])


def send(number, path, text):
    connection = http.client.HTTPConnection(address.netloc, timeout=120)
    connection.request("POST", address.path + path, text.encode("utf-8", "surrogatepass"), {"content-type": "application/json", **KEY})
    if number % 50 == 49:
        connection.close()  # a client that does not wait
        return None
    response = connection.getresponse()
    answer = response.read().decode()
    assert response.status < 500, f"{response.status} from {path}\n{text}\n{answer}"
    if response.status >= 400:
        assert json.loads(answer)["error"]["message"], f"{path} gives no reason\n{text}\n{answer}"
    return response.status


with urllib.request.urlopen(urllib.request.Request(f"{address.geturl()}/models", headers=KEY)) as listed:
    model = json.load(listed)["data"][0]["id"]
seen = collections.Counter()
for number in range(options.requests):
    path, body = draw.choice(GOOD)
    body = copy.deepcopy(body)
    if path not in WITHOUT_MODEL:
        body["model"] = model
    for _ in range(draw.choice([0, 1, 1, 1, 2, 3])):
        spoil(body)
    text = json.dumps(body)
    seen[send(number, path, damaged(text) if draw.random() < 0.05 else text)] += 1
print(f"{options.requests} requests; answers by status, None where the client went away: {dict(seen)}")
