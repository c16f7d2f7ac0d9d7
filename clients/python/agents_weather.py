"""OpenAI's Agents SDK: an agent hands over to another, which uses a function; over both APIs, streamed and not."""

import asyncio
import json

from agents import (
    Agent,
    FunctionTool,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    RunConfig,
    Runner,
    handoff,
)
from agents.extensions.handoff_filters import remove_all_tools
from openai import AsyncOpenAI
from openai.types.shared import Reasoning

asked = []


async def look(_context, arguments: str) -> str:
    asked.append(json.loads(arguments)["city"])
    return '{"temperature":21,"sky":"sunny"}'


# `@function_tool` is shorter; it also gives every field a title, which the tiny model was not taught.
get_weather = FunctionTool(
    name="get_weather",
    description="Get the weather in a city.",
    params_json_schema={
        "type": "object",
        "properties": {"city": {"type": "string", "description": "The name of the city."}},
        "required": ["city"],
        "additionalProperties": False,
    },
    on_invoke_tool=look,
)


def desk(model):
    """A front desk that has nothing but a colleague, and the colleague. A handoff looks like a function to the model."""
    settings = ModelSettings(temperature=0, reasoning=Reasoning(effort="medium"))
    expert = Agent(name="Weather", model=model, model_settings=settings, tools=[get_weather])
    to_expert = handoff(
        expert,
        tool_name_override="get_weather_agent",
        tool_description_override="Get the weather in a city.",
        input_filter=remove_all_tools,
    )
    return Agent(name="Desk", model=model, model_settings=settings, handoffs=[to_expert])


async def main():
    client = AsyncOpenAI()
    name = (await client.models.list()).data[0].id
    private = RunConfig(tracing_disabled=True)
    for model in (OpenAIResponsesModel(name, client), OpenAIChatCompletionsModel(name, client)):
        agent, over = desk(model), type(model).__name__
        asked.clear()
        result = await Runner.run(agent, "What is the weather in Torvik?", run_config=private)
        assert asked == ["Torvik"], f"{over}: {asked}"
        assert result.last_agent.name == "Weather", f"{over}: {result.last_agent.name}"
        assert "21 degrees" in result.final_output and "sunny" in result.final_output, f"{over}: {result.final_output}"

        asked.clear()
        streamed = Runner.run_streamed(agent, "What is the weather in Torvik?", run_config=private)
        kinds = [event.item.type async for event in streamed.stream_events() if event.type == "run_item_stream_event"]
        for kind in ("handoff_call_item", "tool_call_item", "tool_call_output_item", "message_output_item"):
            assert kind in kinds, f"{over}: no {kind} in {kinds}"
        assert asked == ["Torvik"] and streamed.final_output == result.final_output, f"{over}: {streamed.final_output}"
        print(f"{over} is well")


asyncio.run(main())
