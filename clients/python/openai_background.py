"""OpenAI's Python SDK: responses that are made in the background, watched, resumed, cancelled, listed, deleted."""

import time

from openai import NotFoundError, OpenAI

client = OpenAI()
model = client.models.list().data[0].id
settings = {"model": model, "temperature": 0, "reasoning": {"effort": "medium"}}
OPEN = ("queued", "in_progress")


def polled():
    response = client.responses.create(**settings, input="What is 384 + 517?", background=True)
    assert response.status in OPEN and response.background, response
    for _ in range(600):
        if response.status not in OPEN:
            break
        time.sleep(0.1)
        response = client.responses.retrieve(response.id)
    assert response.status == "completed" and "901" in response.output_text, response


def resumed():
    """A reader who loses the line reads on behind the last event that came."""
    stream = client.responses.create(**settings, input="What is 384 + 517?", background=True, stream=True)
    seen = []
    for event in stream:
        seen.append(event)
        if event.type == "response.reasoning_text.delta":
            break
    stream.close()
    identity = seen[0].response.id
    rest = client.responses.retrieve(identity, stream=True, starting_after=seen[-1].sequence_number)
    seen += rest
    assert [event.sequence_number for event in seen] == list(range(len(seen))), "no event is lost or told twice"
    assert seen[-1].type == "response.completed", seen[-1]
    text = "".join(event.delta for event in seen if event.type == "response.output_text.delta")
    assert text == seen[-1].response.output_text == client.responses.retrieve(identity).output_text, text

    with client.responses.stream(response_id=identity, starting_after=1) as again:
        assert again.get_final_response().output_text == text, "a finished answer is streamed again from the store"


def cancelled():
    response = client.responses.create(**settings, input="Tell me a story about a fox.", background=True)
    for _ in range(2):  # a second time changes nothing
        stopped = client.responses.cancel(response.id)
        assert stopped.id == response.id and stopped.status in ("cancelled", "completed"), stopped


def listed_and_deleted():
    first = client.responses.create(**settings, input="My favorite color is green.")
    items = [{"role": "user", "content": f"My number {n} is {n}."} for n in range(4)]
    second = client.responses.create(
        **settings, input=[*items, {"role": "user", "content": "What is my favorite color?"}], previous_response_id=first.id
    )
    newest_first = list(client.responses.input_items.list(second.id, limit=2))  # page after page
    assert newest_first[0].content[0].text == "What is my favorite color?", newest_first[0]
    oldest_first = list(client.responses.input_items.list(second.id, limit=3, order="asc"))
    assert [item.id for item in oldest_first] == [item.id for item in reversed(newest_first)], oldest_first
    assert len({item.id for item in oldest_first}) == len(oldest_first) >= 5, oldest_first
    page = client.responses.input_items.list(second.id, limit=2)
    assert len(page.data) == 2 and page.has_more, page

    client.responses.delete(second.id)
    try:
        client.responses.retrieve(second.id)
    except NotFoundError:
        return
    raise AssertionError("a deleted response is still there")


for job in (polled, resumed, cancelled, listed_and_deleted):
    job()
    print(f"{job.__name__} is well")
