//! Items: in the order they came, all of a call or none.

use store::{Error, Item, Order};

use crate::place::{Place, page, record};

fn item(id: &str) -> Item {
    Item { id: id.into(), body: format!("body of {id}") }
}

pub(crate) async fn in_order(place: Place) {
    let store = place.open().await;
    store.put(record("k", "o", "a", "")).await.unwrap();
    store.put(record("k", "o", "b", "")).await.unwrap();
    store.append_items("k", "o", "a", vec![item("z"), item("y")]).await.unwrap();
    store.append_items("k", "o", "b", vec![item("z")]).await.unwrap();
    store.append_items("k", "o", "a", vec![item("x")]).await.unwrap();
    let listed = store.items("k", "o", "a", page(None, 9, Order::Asc)).await.unwrap();
    assert_eq!(listed.items, [item("z"), item("y"), item("x")]);
    assert!(!listed.has_more);
    assert_eq!(store.item("k", "o", "a", "y").await.unwrap(), Some(item("y")));
    assert_eq!(store.item("k", "o", "b", "y").await.unwrap(), None);
    assert!(store.delete_item("k", "o", "a", "x").await.unwrap());
    assert!(!store.delete_item("k", "o", "a", "x").await.unwrap());
    assert!(!store.delete_item("k", "o", "none", "x").await.unwrap());
    store.append_items("k", "o", "a", vec![item("w"), item("x")]).await.unwrap();
    let listed = store.items("k", "o", "a", page(None, 9, Order::Desc)).await.unwrap();
    assert_eq!(listed.items, [item("x"), item("w"), item("y"), item("z")]);
    assert_eq!(store.get("k", "o", "a").await.unwrap().unwrap().version, 1, "items are not the record's body");
}

pub(crate) async fn pages_of_items(place: Place) {
    let store = place.open().await;
    store.put(record("k", "o", "a", "")).await.unwrap();
    store.append_items("k", "o", "a", ["e", "d", "c", "b"].map(item).to_vec()).await.unwrap();
    let ids = async |after: Option<&str>, limit, order| {
        let listed = store.items("k", "o", "a", page(after, limit, order)).await.unwrap();
        (listed.items.into_iter().map(|item| item.id).collect::<String>(), listed.has_more)
    };
    assert_eq!(ids(None, 3, Order::Asc).await, ("edc".into(), true));
    assert_eq!(ids(Some("c"), 3, Order::Asc).await, ("b".into(), false));
    assert_eq!(ids(Some("c"), 1, Order::Desc).await, ("d".into(), true));
    assert_eq!(ids(Some("d"), 1, Order::Desc).await, ("e".into(), false));
    let unknown = store.items("k", "o", "a", page(Some("x"), 3, Order::Asc)).await.unwrap_err();
    assert_eq!(unknown, Error::UnknownAfter { after: "x".into() });
    let missing = store.items("k", "o", "b", page(None, 3, Order::Asc)).await.unwrap_err();
    assert_eq!(missing, Error::Missing { kind: "k".into(), id: "b".into() });
}

pub(crate) async fn all_or_none(place: Place) {
    let store = place.open().await;
    store.put(record("k", "o", "a", "")).await.unwrap();
    store.append_items("k", "o", "a", vec![item("1")]).await.unwrap();
    let bytes = store.stats().await.unwrap().bytes;
    let exists = Error::Exists { what: "the item", id: "1".into() };
    assert_eq!(store.append_items("k", "o", "a", vec![item("2"), item("1")]).await.unwrap_err(), exists);
    let twice = store.append_items("k", "o", "a", vec![item("3"), item("3")]).await;
    assert_eq!(twice.unwrap_err(), Error::Exists { what: "the item", id: "3".into() });
    assert_eq!(store.items("k", "o", "a", page(None, 9, Order::Asc)).await.unwrap().items, [item("1")]);
    let attached = store::Attached { items: vec![item("4"), item("")], ..Default::default() };
    assert!(store.put_with(record("k", "o", "b", ""), attached).await.is_err());
    assert_eq!(store.get("k", "o", "b").await.unwrap(), None);
    assert_eq!(store.stats().await.unwrap().bytes, bytes, "what was undone does not count");
}

/// Several tasks add to one record: nothing is lost and each task's order is kept.
pub(crate) async fn many_at_once(place: Place) {
    let store = place.open().await;
    store.put(record("k", "o", "a", "")).await.unwrap();
    let tasks: Vec<_> = (0..6)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                for call in 0..5 {
                    let items = (0..40).map(|place| item(&format!("{task}.{call:02}.{place:03}"))).collect();
                    store.append_items("k", "o", "a", items).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let mut all = Vec::new();
    loop {
        let after = all.last().map(|item: &Item| item.id.clone());
        let listed = store.items("k", "o", "a", page(after.as_deref(), 500, Order::Asc)).await.unwrap();
        all.extend(listed.items);
        if !listed.has_more {
            break;
        }
    }
    assert_eq!(all.len(), 6 * 5 * 40);
    for task in 0..6 {
        let prefix = format!("{task}.");
        let ids: Vec<&str> = all.iter().map(|item| &*item.id).filter(|id| id.starts_with(&prefix)).collect();
        assert!(ids.is_sorted() && ids.len() == 200, "{ids:?}");
    }
}
