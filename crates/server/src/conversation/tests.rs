//! Who may have a conversation, and for how long.

use super::*;

const OWNER: &str = "anna";

async fn free(app: &App) -> bool {
    Conversation::need(app, OWNER, "conv_1").await.unwrap().0.turn.is_none()
}

async fn new() -> App {
    let app = App::idle().await;
    Conversation::new(Map::new()).put(&app, OWNER, "conv_1", Vec::new()).await.unwrap();
    app
}

fn stored(status: &str) -> Stored {
    let response = json!({ "id": "resp_1", "status": status });
    let source = crate::history::Source::Nothing;
    Stored { response, source, input: Vec::new(), output_tokens: Vec::new(), pending: None, last_event: None }
}

#[tokio::test]
async fn a_claim_is_one_responses_until_it_is_dropped() {
    let app = new().await;
    let claim = Claim::take(&app, OWNER, "conv_1", "resp_1").await.unwrap();
    let refused = Claim::take(&app, OWNER, "conv_1", "resp_2").await.unwrap_err();
    assert_eq!((refused.status.as_u16(), refused.code), (409, Some("conversation_locked")));
    assert_eq!(Claim::take(&app, "ben", "conv_1", "resp_2").await.unwrap_err().status.as_u16(), 404);
    drop(claim);
    // Whoever comes next need not wait until the store knows.
    let next = Claim::take(&app, OWNER, "conv_1", "resp_2").await.unwrap();
    while !app.given_back().responses().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(
        Claim::take(&app, OWNER, "conv_1", "resp_3").await.is_err(),
        "what was given back takes nothing from the next"
    );
    drop(next);
    while !free(&app).await {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_dead_process_has_a_conversation_only_for_so_long() {
    let app = new().await;
    let claimed = |seconds| Some(TurnClaim { response: "resp_1".to_owned(), until: Some(unix_seconds() + seconds) });
    for (seconds, is_free) in [(50, false), (-1, true)] {
        let change = |conversation: &mut Conversation| {
            conversation.turn = claimed(seconds);
            Ok(())
        };
        Conversation::change(&app, OWNER, "conv_1", change).await.unwrap();
        assert_eq!(mark(&app, OWNER, "conv_1", "resp_2", Some(1)).await.is_ok(), is_free);
    }
}

#[tokio::test]
async fn a_conversation_is_lent_until_the_response_has_ended_or_is_gone() {
    let app = new().await;
    let claim = Claim::take(&app, OWNER, "conv_1", "resp_1").await.unwrap();
    stored("queued").put(&app, OWNER, None).await.unwrap();
    claim.into_lent().await.unwrap();
    assert!(Claim::take(&app, OWNER, "conv_1", "resp_2").await.is_err());
    stored("completed").replace(&app, OWNER, 1).await.unwrap();
    assert!(mark(&app, OWNER, "conv_1", "resp_2", None).await.is_ok());
    // Nobody has heard of the second.
    assert!(mark(&app, OWNER, "conv_1", "resp_3", Some(1)).await.is_ok());
    release(&app, OWNER, "conv_1", "resp_2").await;
    assert!(!free(&app).await, "it is another's by now");
}

#[tokio::test]
async fn what_is_added_twice_is_there_once() {
    let app = new().await;
    let item = |id: &str, text: &str| HistoryItem { value: json!({ "id": id, "text": text }), tokens: None };
    let first = vec![item("msg_1", "a"), item("msg_2", "b")];
    append(&app, OWNER, "conv_1", first.clone()).await.unwrap();
    append(&app, OWNER, "conv_1", first.clone()).await.unwrap();
    assert_eq!(items(&app, OWNER, "conv_1").await.unwrap(), first);
    append(&app, OWNER, "conv_1", vec![item("msg_1", "other"), item("msg_3", "c"), item("msg_3", "d")]).await.unwrap();
    let all = items(&app, OWNER, "conv_1").await.unwrap();
    let texts: Vec<&str> = all.iter().map(|item| item.value["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["a", "b", "other", "c", "d"]);
    assert_eq!(all.iter().map(HistoryItem::id).collect::<std::collections::HashSet<_>>().len(), 5);
    let before = before(&app, OWNER, "conv_1", Some("msg_2".to_owned())).await.unwrap();
    assert_eq!(before, first[..1]);
    append(&app, OWNER, "conv_gone", first).await.unwrap();
}
