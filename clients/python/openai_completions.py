"""OpenAI's Python SDK over the old Completions API: text and token ids as prompts, echo, logprobs, streamed."""

from openai import OpenAI

client = OpenAI()
model = client.models.list().data[0].id


def echoed():
    completion = client.completions.create(
        model=model, prompt="one two three", max_tokens=4, temperature=0, echo=True, logprobs=1
    )
    choice = completion.choices[0]
    assert choice.text.startswith("one two three"), choice.text
    logprobs = choice.logprobs
    assert "".join(logprobs.tokens) == choice.text, "each token of prompt and answer is listed"
    assert logprobs.token_logprobs[0] is None, "nothing comes before the first token"
    assert all(logprob <= 0 for logprob in logprobs.token_logprobs[1:]), logprobs
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.text_offset), logprobs
    assert completion.usage.completion_tokens <= 4, completion.usage


def token_ids():
    ids = list(range(300, 310))  # any text, as its tokens
    both = client.completions.create(model=model, prompt=[ids, ids], max_tokens=8, temperature=0)
    assert [choice.index for choice in both.choices] == [0, 1], both
    assert both.choices[0].text == both.choices[1].text, "the same ids give the same text"
    assert both.usage.prompt_tokens == 2 * len(ids), both.usage


def streamed():
    plain = client.completions.create(model=model, prompt="one two three", max_tokens=8, temperature=0)
    stream = client.completions.create(model=model, prompt="one two three", max_tokens=8, temperature=0, stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream if chunk.choices) == plain.choices[0].text


for job in (echoed, token_ids, streamed):
    job()
    print(f"{job.__name__} is well")
