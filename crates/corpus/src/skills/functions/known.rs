//! Functions that many applications have, with the ways people ask for them. In a request `{0}` is the value of the first
//! field; what is not mentioned is not given. In an answer `{r}` is the result's first value, `{s}` its second. Data only.

use super::super::fields::Kind;

/// A function with its usual names.
pub(super) struct Known {
    pub(super) names: &'static [&'static str],
    pub(super) act: &'static str,
    /// The same with the values that are always given.
    pub(super) doing: &'static str,
    pub(super) fields: &'static [KnownField],
    pub(super) asks: &'static [&'static str],
    /// What it returns.
    pub(super) result: &'static [(&'static str, Kind)],
    pub(super) answer: &'static str,
}

/// A field with its usual keys.
pub(super) struct KnownField {
    pub(super) keys: &'static [&'static str],
    pub(super) spoken: &'static str,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
    pub(super) description: &'static str,
}

const fn needs(
    keys: &'static [&'static str],
    spoken: &'static str,
    kind: Kind,
    description: &'static str,
) -> KnownField {
    KnownField { keys, spoken, kind, is_required: true, description }
}

const fn may(keys: &'static [&'static str], spoken: &'static str, kind: Kind, description: &'static str) -> KnownField {
    KnownField { keys, spoken, kind, is_required: false, description }
}

const SKY: Kind = Kind::Choice(&["sunny", "cloudy", "rainy", "windy"]);

pub(super) const KNOWN: &[Known] = &[
    Known {
        names: &["get_weather", "get_current_weather", "weather", "lookup_weather"],
        act: "get the weather in a city",
        doing: "get the weather in {0}",
        fields: &[
            needs(&["city", "location", "place"], "city", Kind::Place, "The name of the city."),
            may(&["unit", "format", "units"], "unit", Kind::Choice(&["celsius", "fahrenheit"]), "The unit."),
        ],
        asks: &[
            "What is the weather in {0}?",
            "How is the weather in {0}?",
            "What's the weather like in {0} today?",
            "Is it warm in {0}?",
            "Tell me the weather in {0}, please.",
            "weather in {0}",
            "What is the weather in {0} in {1}?",
            "How warm is it in {0}? Please use {1}.",
        ],
        result: &[("temperature", Kind::Integer(-5, 35)), ("sky", SKY)],
        answer: "In {0} it is {r} degrees and {s}.",
    },
    Known {
        names: &["set_timer", "start_timer", "create_timer"],
        act: "set a timer",
        doing: "set a timer for {0} minutes",
        fields: &[
            needs(&["minutes", "duration_minutes"], "minutes", Kind::Integer(1, 120), "How many minutes."),
            may(&["label", "name"], "name", Kind::Name, "The name of the timer."),
        ],
        asks: &[
            "Set a timer for {0} minutes.",
            "Please start a timer of {0} minutes.",
            "I need a timer for {0} minutes.",
            "timer {0} minutes",
            "Set a timer for {0} minutes with the name {1}.",
            "Start a timer called {1} for {0} minutes.",
        ],
        result: &[("timer", Kind::Code)],
        answer: "The timer {r} is set for {0} minutes.",
    },
    Known {
        names: &["send_message", "send_text", "message_send"],
        act: "send a message",
        doing: "send the message to {0}",
        fields: &[
            needs(&["to", "recipient", "name"], "name", Kind::Name, "Who gets the message."),
            needs(&["text", "message", "body"], "text", Kind::Message, "The text of the message."),
        ],
        asks: &[
            "Send \"{1}\" to {0}.",
            "Please send {0} the message \"{1}\".",
            "Send a message to {0}: {1}",
            "Tell {0}: {1}",
            "Write to {0} this text: \"{1}\"",
        ],
        result: &[("id", Kind::Code)],
        answer: "The message to {0} is sent. Its id is {r}.",
    },
    Known {
        names: &["lookup_patient", "find_patient", "get_patient"],
        act: "look up a patient",
        doing: "look up patient {0}",
        fields: &[needs(&["id", "patient_id", "patient"], "id of the patient", Kind::Code, "The id of the patient.")],
        asks: &[
            "Look up the patient {0}.",
            "Who is patient {0}?",
            "Show me patient {0}, please.",
            "Find the patient with the id {0}.",
            "In which room is patient {0}?",
        ],
        result: &[("name", Kind::Name), ("room", Kind::Integer(1, 400))],
        answer: "Patient {0} is {r} in room {s}.",
    },
    Known {
        names: &["track_order", "get_order", "order_status"],
        act: "get the state of an order",
        doing: "check order {0}",
        fields: &[needs(&["order_id", "id", "order"], "order number", Kind::Code, "The number of the order.")],
        asks: &[
            "Where is my order {0}?",
            "What is the state of order {0}?",
            "Is the order {0} sent?",
            "Please check order {0}.",
            "My order is {0}. When does it come?",
        ],
        result: &[("state", Kind::Choice(&["sent", "ready", "open", "paid"])), ("days", Kind::Integer(1, 14))],
        answer: "The order {0} is {r}. It comes in {s} days.",
    },
    Known {
        names: &["book_table", "reserve_table", "book_restaurant"],
        act: "book a table",
        doing: "book a table at {0}",
        fields: &[
            needs(&["restaurant", "place", "name"], "restaurant", Kind::Name, "The name of the restaurant."),
            needs(&["people", "guests", "seats"], "number of people", Kind::Integer(1, 12), "How many people come."),
            may(&["hour", "time"], "hour", Kind::Integer(11, 22), "The hour of the day."),
        ],
        asks: &[
            "Book a table for {1} at {0}.",
            "Please book a table at {0} for {1} people.",
            "We are {1} people and want to eat at {0}. Book a table.",
            "Book a table for {1} at {0}, {2} o'clock.",
            "I want a table at {0} at {2} o'clock for {1} people.",
        ],
        result: &[("code", Kind::Code)],
        answer: "The table at {0} is booked. The code is {r}.",
    },
    Known {
        names: &["play_song", "play_music", "start_song"],
        act: "play a song",
        doing: "play \"{0}\"",
        fields: &[
            needs(&["title", "song", "name"], "title", Kind::Words, "The title of the song."),
            may(&["artist", "singer"], "singer", Kind::Name, "Who sings it."),
        ],
        asks: &[
            "Play the song \"{0}\".",
            "Please play \"{0}\" by {1}.",
            "I want to hear \"{0}\".",
            "Play {0}, please.",
            "Can you play \"{0}\" by {1}?",
        ],
        result: &[("minutes", Kind::Integer(2, 9))],
        answer: "I play \"{0}\". It takes {r} minutes.",
    },
    Known {
        names: &["turn_on_light", "set_light", "light_control"],
        act: "turn the light in a room on or off",
        doing: "turn the light in the {0} {1}",
        fields: &[
            needs(&["room", "place"], "room", Kind::Choice(&["kitchen", "garden", "hall", "bedroom"]), "The room."),
            needs(&["state", "light"], "state", Kind::Choice(&["on", "off"]), "Whether it is on or off."),
        ],
        asks: &[
            "Turn {1} the light in the {0}.",
            "Please turn the light in the {0} {1}.",
            "Light {1} in the {0}!",
            "Turn the {0} light {1}.",
            "Can you turn {1} the light in the {0}?",
        ],
        result: &[("state", Kind::Choice(&["done", "ok"]))],
        answer: "The light in the {0} is {1}.",
    },
    Known {
        names: &["get_time", "current_time", "time_in"],
        act: "get the time in a city",
        doing: "get the time in {0}",
        fields: &[needs(&["city", "location", "place"], "city", Kind::Place, "The name of the city.")],
        asks: &[
            "What time is it in {0}?",
            "How late is it in {0}?",
            "Tell me the time in {0}.",
            "time in {0}",
            "Is it late in {0} now?",
        ],
        result: &[("hour", Kind::Integer(0, 23)), ("minute", Kind::Integer(10, 59))],
        answer: "In {0} it is {r}:{s}.",
    },
    Known {
        names: &["translate", "translate_text", "get_translation"],
        act: "translate a text",
        doing: "translate \"{0}\"",
        fields: &[
            needs(&["text", "source"], "text", Kind::Message, "The text to translate."),
            needs(
                &["language", "to", "target"],
                "language",
                Kind::Choice(&["english", "german", "french", "spanish"]),
                "The language of the result.",
            ),
        ],
        asks: &[
            "Translate \"{0}\" to {1}.",
            "What is \"{0}\" in {1}?",
            "Please say \"{0}\" in {1}.",
            "How does one say \"{0}\" in {1}?",
        ],
        result: &[("text", Kind::Name)],
        answer: "In {1} it is \"{r}\".",
    },
    Known {
        names: &["add_item", "add_to_list", "list_add"],
        act: "put a thing on the shopping list",
        doing: "put \"{0}\" on the list",
        fields: &[
            needs(&["item", "thing", "product"], "thing", Kind::Words, "What to buy."),
            may(&["count", "amount"], "count", Kind::Integer(2, 20), "How many."),
        ],
        asks: &[
            "Put \"{0}\" on the shopping list.",
            "Please add {0} to my shopping list.",
            "I need {1} times \"{0}\". Put it on the list.",
            "Add \"{0}\" to the list, {1} of them.",
        ],
        result: &[("size", Kind::Integer(1, 40))],
        answer: "It is on the list. The list has {r} things now.",
    },
    Known {
        names: &["find_hotel", "search_hotels", "book_hotel"],
        act: "find a hotel",
        doing: "find a hotel in {0}",
        fields: &[
            needs(&["city", "location", "place"], "city", Kind::Place, "The name of the city."),
            needs(&["nights", "days"], "number of nights", Kind::Integer(1, 21), "How many nights."),
            may(&["max_price", "price"], "price", Kind::Integer(40, 400), "The price at most."),
        ],
        asks: &[
            "Find a hotel in {0} for {1} nights.",
            "I need a hotel in {0}, {1} nights.",
            "I stay {1} nights in {0}. Which hotel is there?",
            "Find a hotel in {0} for {1} nights, {2} dollars at most.",
        ],
        result: &[("hotel", Kind::Name), ("price", Kind::Integer(40, 400))],
        answer: "The hotel {r} costs {s} dollars.",
    },
    Known {
        names: &["create_event", "add_event", "new_event"],
        act: "put an event into the calendar",
        doing: "put \"{0}\" into the calendar",
        fields: &[
            needs(&["title", "name", "event"], "title", Kind::Words, "The title of the event."),
            needs(
                &["day", "weekday"],
                "day",
                Kind::Choice(&["monday", "tuesday", "wednesday", "thursday", "friday"]),
                "The day.",
            ),
            may(&["hour", "time"], "hour", Kind::Integer(7, 21), "The hour of the day."),
        ],
        asks: &[
            "Put \"{0}\" into my calendar on {1}.",
            "New event on {1}: {0}",
            "Add the event \"{0}\" on {1} at {2} o'clock.",
            "On {1} at {2} o'clock I have \"{0}\". Put it into the calendar.",
        ],
        result: &[("id", Kind::Code)],
        answer: "The event is in the calendar on {1}. Its id is {r}.",
    },
    Known {
        names: &["get_price", "stock_price", "price_of"],
        act: "get the price of a thing",
        doing: "get the price of {0}",
        fields: &[needs(&["name", "product", "thing"], "name", Kind::Name, "The name of the thing.")],
        asks: &[
            "How much is {0}?",
            "What is the price of {0}?",
            "What does {0} cost?",
            "price of {0}",
            "Tell me what {0} costs.",
        ],
        result: &[("price", Kind::Number)],
        answer: "The price of {0} is {r}.",
    },
];
