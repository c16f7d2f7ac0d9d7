//! Items that belong to a record, in the order they were added.
//! It must not know what an item says.

use std::collections::HashSet;

use crate::error::{Error, Result};
use crate::limits::{self, APPEND_MAX};
use crate::records::{self, Key, Page};
use crate::room;
use crate::session::{Row, Session, Value, values};
use crate::store::Store;
use crate::work::work;

/// One of a record's items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its id, unique inside the record.
    pub id: String,
    /// A text that the store does not look into.
    pub body: String,
}

/// A page of items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedItems {
    /// The entries.
    pub items: Vec<Item>,
    /// Whether others follow.
    pub has_more: bool,
}

impl Store {
    /// Adds items behind those that the record has: all or none.
    ///
    /// # Errors
    ///
    /// `Missing`, `Exists`, `Full`, limits, the database.
    pub async fn append_items(&self, kind: &str, owner: &str, id: &str, items: Vec<Item>) -> Result<()> {
        let key = Key::new(kind, owner, id)?;
        check(&items)?;
        self.write(work!(session => append(session, &key, items))).await
    }

    /// A page of a record's items.
    ///
    /// # Errors
    ///
    /// `Missing`, `UnknownAfter`, limits, the database.
    pub async fn items(&self, kind: &str, owner: &str, id: &str, page: Page) -> Result<ListedItems> {
        let key = Key::new(kind, owner, id)?;
        limits::page(page.limit)?;
        self.read(work!(session => list(session, &key, page))).await
    }

    /// One item; None if the item or its record is not there.
    ///
    /// # Errors
    ///
    /// Limits, the database.
    pub async fn item(&self, kind: &str, owner: &str, id: &str, item_id: &str) -> Result<Option<Item>> {
        let key = Key::new(kind, owner, id)?;
        let item_id = limits::name("the id of the item", item_id)?;
        self.read(work!(session => get(session, &key, item_id))).await
    }

    /// Removes one item; false if the item or its record was not there.
    ///
    /// # Errors
    ///
    /// Limits, the database.
    pub async fn delete_item(&self, kind: &str, owner: &str, id: &str, item_id: &str) -> Result<bool> {
        let key = Key::new(kind, owner, id)?;
        let item_id = limits::name("the id of the item", item_id)?;
        self.write(work!(session => delete(session, &key, item_id))).await
    }
}

pub(crate) fn check(items: &[Item]) -> Result<()> {
    limits::size("the list of items", items.len(), APPEND_MAX)?;
    let mut ids = HashSet::new();
    for Item { id, body } in items {
        limits::name("the id of the item", id)?;
        limits::body("the body of the item", body)?;
        if !ids.insert(id) {
            return Err(Error::Exists { what: "the item", id: id.clone() });
        }
    }
    Ok(())
}

pub(crate) async fn append(session: &mut Session, key: &Key, items: Vec<Item>) -> Result<()> {
    let (rid, next, _) = records::lock(session, key).await?;
    for Item { id, .. } in &items {
        let sql = "SELECT place FROM items WHERE rid = ?1 AND id = ?2";
        // A record without items has none of these.
        if next > 0 && session.row(sql, values![rid, id]).await?.is_some() {
            return Err(Error::Exists { what: "the item", id: id.clone() });
        }
    }
    let bytes = limits::count(items.iter().map(|Item { id, body }| id.len() + body.len()).sum());
    room::make(session, bytes, Some(rid)).await?;
    let after = next + limits::count(items.len());
    let rows = (next..).zip(items);
    let rows = rows.flat_map(|(place, Item { id, body })| [rid.into(), place.into(), id.into(), body.into()]);
    let rows: Vec<Value> = rows.collect();
    session.insert("INSERT INTO items (rid, place, id, body) VALUES", 4, &rows).await?;
    let sql = "UPDATE records SET items_next = ?1, bytes = bytes + ?2 WHERE rid = ?3";
    session.execute(sql, values![after, bytes, rid]).await?;
    session.account(bytes);
    session.announce(key.channel());
    Ok(())
}

async fn list(session: &mut Session, key: &Key, page: Page) -> Result<ListedItems> {
    let rid = records::rid(session, key).await?.ok_or_else(|| key.missing())?;
    let after = match &page.after {
        Some(after) => {
            let row = session.row("SELECT place FROM items WHERE rid = ?1 AND id = ?2", values![rid, after]).await?;
            let row = row.ok_or_else(|| Error::UnknownAfter { after: after.clone() })?;
            Some(row.integer(0)?)
        }
        None => None,
    };
    let (behind, direction, from) = page.order.sql(after);
    let sql =
        format!("SELECT id, body FROM items WHERE rid = ?1 AND place {behind} ?2 ORDER BY place {direction} LIMIT ?3");
    let mut rows = session.rows(&sql, values![rid, from, limits::page(page.limit)?]).await?;
    let has_more = rows.len() > page.limit as usize;
    rows.truncate(page.limit as usize);
    Ok(ListedItems { items: rows.into_iter().map(item).collect::<Result<_>>()?, has_more })
}

async fn get(session: &mut Session, key: &Key, item_id: String) -> Result<Option<Item>> {
    let Some(rid) = records::rid(session, key).await? else { return Ok(None) };
    let sql = "SELECT id, body FROM items WHERE rid = ?1 AND id = ?2";
    session.row(sql, values![rid, item_id]).await?.map(item).transpose()
}

async fn delete(session: &mut Session, key: &Key, item_id: String) -> Result<bool> {
    let (rid, ..) = match records::lock(session, key).await {
        Err(Error::Missing { .. }) => return Ok(false),
        found => found?,
    };
    let sql = "DELETE FROM items WHERE rid = ?1 AND id = ?2 RETURNING id, body";
    let Some(row) = session.row(sql, values![rid, item_id]).await? else { return Ok(false) };
    let Item { id, body } = item(row)?;
    let bytes = limits::count(id.len() + body.len());
    session.execute("UPDATE records SET bytes = bytes - ?1 WHERE rid = ?2", values![bytes, rid]).await?;
    session.account(-bytes);
    session.announce(key.channel());
    Ok(true)
}

fn item(mut row: Row) -> Result<Item> {
    Ok(Item { id: row.text(0)?, body: row.text(1)? })
}
